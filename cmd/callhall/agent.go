package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"callhall/sip/phone"
)

// agentCmd is an agent without a telephone: it registers, rings, answers and speaks.
type agentCmd struct {
	phoneFlags
	As     string        `required:"" placeholder:"ID" help:"Which agent: the user name of the phone."`
	Domain string        `placeholder:"NAME" help:"Domain to register in. Default: the server's address."`
	Answer time.Duration `name:"auto-answer" default:"1s" help:"How long to ring before answering."`
	Echo   bool          `help:"Say back what is heard, as --audio echo does."`
	Reject int           `placeholder:"STATUS" help:"Refuse calls with this SIP status, 486 or 603, instead of answering."`
	Ignore bool          `help:"Ring and never answer."`
	Calls  int           `placeholder:"N" help:"End after so many calls."`
}

// Run registers and takes calls until ctx ends or the last call that was asked for is over.
func (c agentCmd) Run(ctx context.Context, t *terminal) error {
	if c.Reject != 0 && (c.Reject < 400 || c.Reject > 699) {
		return badUsage{fmt.Errorf("--reject: %d is no refusal; 400 to 699 are", c.Reject)}
	}
	c.User = c.As
	if c.Password == "" { // the password that a development server made
		c.Password = SecretFile(filepath.Join(dataDir(t), "agents", c.As+".secret"))
	}
	if c.Echo {
		c.Audio = audioFlag{phone.Audio{Echo: true}}
	}
	p, err := c.open(t.Err)
	if err != nil {
		return err
	}
	err = c.serve(ctx, p, t)
	return errors.Join(err, p.Close())
}

// serve takes calls while it keeps the registration up.
func (c agentCmd) serve(ctx context.Context, p *phone.Phone, t *terminal) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	say := sayer(t)
	var calls sync.WaitGroup
	over := make(chan struct{})
	policy := phone.Policy{AutoAnswer: c.Answer, Reject: c.Reject, Ignore: c.Ignore, Audio: c.Audio.Audio,
		Ring: func(one *phone.Call) {
			calls.Go(func() {
				follow(one, say)
				select {
				case over <- struct{}{}:
				case <-ctx.Done():
				}
			})
		}}
	var loops sync.WaitGroup
	ended := make(chan error, 2)
	policy.Ready = func() { loops.Go(func() { ended <- p.Register(ctx, c.registered(say)) }) }
	loops.Go(func() { ended <- p.Serve(ctx, policy) })
	err := c.until(ctx, over, ended)
	stop()
	loops.Wait()
	calls.Wait()
	return err
}

// registered tells of the first registration.
func (c agentCmd) registered(say func(format string, args ...any)) func(time.Time) {
	var first sync.Once
	return func(until time.Time) {
		first.Do(func() { say("registered as %s at %s until %s", c.As, c.Server, until.Format(time.TimeOnly)) })
	}
}

// until waits for the end: of ctx, of the phone's service, or of the last call asked for.
func (c agentCmd) until(ctx context.Context, over <-chan struct{}, ended <-chan error) error {
	for n := 0; ; {
		select {
		case <-over:
			if n++; n == c.Calls {
				return nil
			}
		case err := <-ended:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// sayer prints lines, one at a time.
func sayer(t *terminal) func(format string, args ...any) {
	var mu sync.Mutex
	return func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(t.Out, format+"\n", args...)
	}
}

// follow tells what happens to one call until it is over.
func follow(one *phone.Call, say func(format string, args ...any)) {
	say("ringing: queue %s, language %s, call %s", one.Header("X-Callhall-Queue"), one.Header("X-Callhall-Language"), one.Header("X-Callhall-Call"))
	for ev := range one.Events() {
		switch ev := ev.(type) {
		case phone.Answered:
			say("answered")
		case phone.Held:
			say("on hold: %v", ev.Held)
		case phone.Digit:
			say("key %c", ev.Key)
		case phone.Ended:
			q := one.Quality()
			say("ended by %s %s: %d packets up, %d down, %d lost", ev.By, ev.Reason, q.Sent, q.Received, q.Lost)
		}
	}
}
