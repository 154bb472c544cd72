package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"callhall/call"
	"callhall/cdr"
	"callhall/recording"
	"callhall/routing"
)

// soon is how long a test waits for what should happen at once, on a machine that has other things to do.
const soon = 15 * time.Second

// node is a whole callhall in this process, spoken to over sockets only. What a test reads inside it is what must be
// the same before and after a call.
type node struct {
	*app
	t       *testing.T
	said    *logbook
	quit    context.CancelFunc
	ended   chan error
	stopped bool
	alone   bool // nothing else runs in this process: what all of it has may be counted too
}

// logbook keeps a node's log.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// faults counts what the node has logged as an error of its own.
func (l *logbook) faults() int { return strings.Count(l.String(), "level=ERROR") }

// openNode opens a node. clock may be nil. Before run, a test may put itself between the node's parts.
func openNode(t *testing.T, cfg Config, clock recording.Clock) *node {
	t.Helper()
	n := &node{t: t, said: &logbook{}, ended: make(chan error, 1)}
	log := slog.New(slog.NewTextHandler(n.said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	n.labelled(func(ctx context.Context) { n.app, err = openApp(ctx, cfg, log, clock) })
	must(t, err)
	t.Cleanup(func() {
		n.stop()
		if err := n.Close(); err != nil {
			t.Errorf("close the node: %v", err)
		}
		if t.Failed() {
			text := n.said.String()
			t.Logf("the node's log ends:\n%s", text[max(0, len(text)-8000):])
		}
	})
	return n
}

// ctx is a context that also holds while a test is being put away.
func (n *node) ctx() context.Context { return context.WithoutCancel(n.t.Context()) }

// labelled does f in such a way that every goroutine that comes of it can be told from others.
func (n *node) labelled(f func(ctx context.Context)) {
	pprof.Do(n.ctx(), pprof.Labels("node", n.t.Name()), f)
}

// run serves until the end of the test, or stop.
func (n *node) run() *node {
	ctx, quit := context.WithCancel(n.ctx())
	n.quit = quit
	n.labelled(func(context.Context) { go func() { n.ended <- n.Run(ctx) }() })
	return n
}

// stop ends what run began, as SIGTERM would. The databases stay open.
func (n *node) stop() {
	if n.stopped || n.quit == nil {
		return
	}
	n.stopped = true
	n.quit()
	select {
	case err := <-n.ended:
		if err != nil {
			n.t.Errorf("the node ended with %v", err)
		}
	case <-time.After(2 * soon):
		n.t.Errorf("the node did not stop\n%s", n.stacks())
	}
}

// counts is what must come home after a call.
type counts struct {
	Ports, Legs, Calls int // leased, in dialogs, running
	Waiting, Claims    int // calls in line; agents offered, talking or in wrap-up
	Goroutines         int // that come of this node
	AllOfUs, Files     int // goroutines and descriptors of the process, phones and tests included; only of a node alone
}

// now counts. Goroutines that a timer of sipgo's runs belong to nobody and are seen in AllOfUs only.
func (n *node) now() counts {
	n.t.Helper()
	c := counts{Ports: n.media.PortsLeased(), Legs: n.sip.Legs(), Calls: n.board.Active(), Goroutines: n.goroutines()}
	for _, city := range n.cities() {
		queues, err := n.routing.Queues(n.ctx(), city)
		must(n.t, err)
		for _, q := range queues {
			c.Waiting += q.Waiting
		}
		agents, err := n.routing.Agents(n.ctx(), city)
		must(n.t, err)
		for _, a := range agents {
			if a.Call != "" || a.State == routing.StateOffered || a.State == routing.StateTalking || a.State == routing.StateWrapUp {
				c.Claims++
			}
		}
	}
	n.media.PortsFree() // lets go of ports that have been deaf for long enough
	if n.alone {
		c.AllOfUs, c.Files = runtime.NumGoroutine(), len(openFiles())
	}
	return c
}

// home tells what of c has not come home to before. What the process has may have become less meanwhile.
func (c counts) home(before counts) error {
	less := before
	less.Goroutines, less.AllOfUs, less.Files = c.Goroutines, c.AllOfUs, c.Files
	if c != less || c.Goroutines > before.Goroutines || c.AllOfUs > before.AllOfUs || c.Files > before.Files {
		return fmt.Errorf("%+v, were %+v", c, before)
	}
	return nil
}

// wantHome waits until all that a story took is back.
func (n *node) wantHome(t *testing.T, home counts) {
	t.Helper()
	deadline := time.Now().Add(soon)
	for {
		err := n.now().home(home)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not home after %v: %v\n%s\n%s", soon, err, strings.Join(openFiles(), "\n"), n.stacks())
		}
		<-time.After(50 * time.Millisecond)
	}
}

// settled counts when nothing changes any more.
func (n *node) settled() counts {
	n.t.Helper()
	last, since := n.now(), time.Now()
	within(n.t, soon, func() error {
		if c := n.now(); c != last {
			last, since = c, time.Now()
		}
		if time.Since(since) < 300*time.Millisecond {
			return errors.New("still changing")
		}
		return nil
	})
	return last
}

// goroutines counts those that come of this node.
func (n *node) goroutines() (count int) {
	var b bytes.Buffer
	must(n.t, pprof.Lookup("goroutine").WriteTo(&b, 1))
	group := 0
	for line := range strings.Lines(b.String()) {
		if head, _, ok := strings.Cut(line, " @ "); ok {
			group, _ = strconv.Atoi(head) // a line of any other form counts nothing
		}
		if strings.HasPrefix(line, "# labels: ") && strings.Contains(line, strconv.Quote(n.t.Name())) {
			count += group
		}
	}
	return count
}

// openFiles says what this process has open, but for its databases, whose pools of readers grow to their size as they
// are needed. Nothing where that cannot be told.
func openFiles() (names []string) {
	links, _ := os.ReadDir("/proc/self/fd") // not Linux: there is nothing to compare
	for _, l := range links {
		name, _ := os.Readlink("/proc/self/fd/" + l.Name()) // the directory itself is closed by now
		if !strings.Contains(filepath.Base(name), ".db") {
			names = append(names, name)
		}
	}
	return names
}

// stacks says where all goroutines are.
func (n *node) stacks() string {
	var b bytes.Buffer
	must(n.t, pprof.Lookup("goroutine").WriteTo(&b, 1))
	return b.String()
}

// records are the city's records, oldest first.
func (n *node) records(city call.CityID) []call.Record {
	n.t.Helper()
	page, err := n.cdr.List(n.ctx(), city, cdr.Filter{}, "", cdr.MaxLimit)
	must(n.t, err)
	slices.Reverse(page.Records)
	return page.Records
}

// recordsAfter waits until there are n more records of the city than before, and returns those.
func (n *node) recordsAfter(city call.CityID, before, more int) []call.Record {
	n.t.Helper()
	var all []call.Record
	within(n.t, soon, func() error {
		if all = n.records(city); len(all) < before+more {
			return fmt.Errorf("%d records, want %d", len(all), before+more)
		}
		return nil
	})
	return all[before:]
}

// within tries until try succeeds.
func within(t *testing.T, limit time.Duration, try func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %v", limit, err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// asJSON is v for a failure's text.
func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
