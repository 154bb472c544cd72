package console_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"callhall/call"
	"callhall/console"
)

// slowQueues answers when it is let.
type slowQueues struct{ asked, let chan struct{} }

func (s slowQueues) Queues(context.Context, call.CityID) ([]console.Queue, error) {
	close(s.asked)
	<-s.let
	return []console.Queue{{ID: "late"}}, nil
}

// A stop lets a request that has begun finish, and takes no new one.
func TestServeFinishesWhatHasBegun(t *testing.T) {
	slow := slowQueues{make(chan struct{}), make(chan struct{})}
	o := newOffice(t, func(_ *console.Config, d *console.Deps) { d.Queues = slow })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- o.Serve(ctx, l) }()

	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	answers := make(chan string, 1)
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+l.Addr().String()+"/api/v1/queues", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+o.token("demo", console.RoleSupervisor))
	go func() {
		resp, err := (&http.Client{Transport: transport}).Do(request)
		if err != nil {
			answers <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answers <- string(body)
	}()
	<-slow.asked
	stop()
	close(slow.let)
	if body := <-answers; !strings.Contains(body, "late") {
		t.Errorf("%s", body)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := net.DialTimeout("tcp", l.Addr().String(), time.Second); err == nil {
		t.Error("it still listens")
	}
}

func TestServeAdminStops(t *testing.T) {
	o := newOffice(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- o.ServeAdmin(ctx, l) }()
	transport := &http.Transport{}
	resp, err := (&http.Client{Transport: transport}).Get("http://" + l.Addr().String() + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	transport.CloseIdleConnections()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
