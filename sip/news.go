package sip

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/emiago/sipgo/sip"

	"callhall/call"
)

// progressPackage is the INFO package by which test callers hear how their call is going (RFC 6086).
const progressPackage = "callhall-progress"

// maxNews is how much news may wait for a far side that is slow to answer. More is dropped: news ages fast.
const maxNews = 16

// A newsroom sends news of one leg in order, one INFO at a time.
type newsroom struct {
	wanted bool // set before the leg is shared

	mu      sync.Mutex
	waiting []call.News
	sending bool
}

// wantsNews tells whether an INVITE asks for our package (RFC 6086 §5.2.3).
func wantsNews(req *sip.Request) bool {
	return slices.ContainsFunc(listOf(req, "Recv-Info"), func(name string) bool {
		name, _, _ = strings.Cut(name, ";")
		return strings.EqualFold(strings.TrimSpace(name), progressPackage)
	})
}

// Tell sends the party news, where it asked for them and its trunk is set up for it. It does not wait.
func (l *leg) Tell(news call.News) {
	if !l.news.wanted {
		return
	}
	l.news.mu.Lock()
	defer l.news.mu.Unlock()
	if len(l.news.waiting) >= maxNews {
		return
	}
	l.news.waiting = append(l.news.waiting, news)
	if !l.news.sending {
		l.news.sending = l.server.work.run(l.tellAll)
	}
}

// tellAll sends what is waiting, once the dialog is confirmed, and ends when there is no more or the leg is over.
func (l *leg) tellAll() {
	select {
	case <-l.settled:
	case <-l.over:
	case <-l.server.closing:
	}
	for news, ok := l.nextNews(); ok; news, ok = l.nextNews() {
		l.inform(news)
	}
}

func (l *leg) nextNews() (call.News, bool) {
	l.news.mu.Lock()
	defer l.news.mu.Unlock()
	select {
	case <-l.over:
		l.news.waiting = nil
	default:
	}
	if len(l.news.waiting) == 0 {
		l.news.sending = false
		return call.News{}, false
	}
	news := l.news.waiting[0]
	l.news.waiting = l.news.waiting[1:]
	return news, true
}

// progress is news as it is sent. What is zero is left out.
type progress struct {
	Queue    call.QueueID `json:"queue,omitempty"`
	Place    int          `json:"place,omitempty"`
	Agent    call.AgentID `json:"agent,omitempty"`
	Recorded bool         `json:"recorded,omitempty"`
	Call     call.ID      `json:"call,omitempty"`
}

func (l *leg) inform(news call.News) {
	body, err := json.Marshal(progress(news))
	if err != nil {
		l.log.Error("news not written", "err", err)
		return
	}
	_, err = l.ask(context.Background(), sip.INFO, func(req *sip.Request) {
		req.AppendHeader(sip.NewHeader("Info-Package", progressPackage))
		req.AppendHeader(sip.NewHeader("Content-Disposition", "Info-Package"))
		req.AppendHeader(sip.NewHeader("Content-Type", "application/json"))
		req.SetBody(body)
	})
	if err != nil {
		l.log.Debug("news without answer", "err", err)
	}
}
