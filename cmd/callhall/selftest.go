package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"callhall/sip/phone"
)

// startHelpers starts what a development server runs beside itself, its built-in agents, and places the test call. The
// agents end with beside; the caller then waits for them. It fails where a test that was required failed.
func (c serveCmd) startHelpers(ctx, beside context.Context, a *app, h *helpers, out io.Writer) error {
	builtIns := 0
	for _, city := range a.cfg.Cities {
		for _, agent := range city.Agents {
			if !agent.BuiltIn {
				continue
			}
			if err := h.builtIn(beside, a, agent); err != nil {
				return fmt.Errorf("built-in agent %s: %w", agent.ID, err)
			}
			builtIns++
		}
	}
	if c.SelfTest == "off" || builtIns == 0 {
		if c.SelfTest == "require" {
			return errors.New("self-test: there is no built-in agent to answer it; only a development server has one")
		}
		return nil
	}
	err := selfTest(ctx, a, out)
	if err != nil && c.SelfTest == "require" {
		return err
	}
	return nil
}

// builtInRing is how long a built-in agent lets its phone ring.
const builtInRing = 200 * time.Millisecond

// builtIn registers an agent's phone over SIP, as any phone would, and lets it answer and say back what it hears.
func (h *helpers) builtIn(ctx context.Context, a *app, agent AgentConfig) error {
	password, err := agent.PasswordFile.Read()
	if err != nil {
		return err
	}
	p, err := phone.New(phone.Config{Server: a.sipHost("udp"), User: string(agent.ID), Password: password}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	registered := make(chan error, 1)
	up := make(chan struct{}, 1)
	var loops sync.WaitGroup
	register := func() {
		registered <- p.Register(ctx, func(time.Time) {
			select {
			case up <- struct{}{}:
			default:
			}
		})
	}
	policy := phone.Policy{AutoAnswer: builtInRing, Audio: phone.Audio{Echo: true}, Ready: func() { loops.Go(register) }}
	loops.Go(func() {
		if err := p.Serve(ctx, policy); err != nil {
			a.log.Error("built-in agent stopped", "agent", agent.ID, "err", err)
		}
	})
	h.phones.Go(func() {
		loops.Wait()
		if err := p.Close(); err != nil {
			a.log.Error("built-in agent's phone not closed", "agent", agent.ID, "err", err)
		}
	})
	select {
	case <-up:
		return nil
	case err := <-registered:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// selfTest dials the first number of the first city over SIP, hears its own tone come back from the built-in agent and
// tells what it saw.
func selfTest(ctx context.Context, a *app, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, selfTestTime)
	defer cancel()
	p, err := phone.New(phone.Config{Server: a.sipHost("udp")}, slog.New(slog.DiscardHandler))
	if err != nil {
		return fmt.Errorf("self-test: %w", err)
	}
	number := a.cfg.Cities[0].Numbers[0].Number
	c := callCmd{To: number, From: "+12125550142", Duration: 1500 * time.Millisecond, Wait: selfTestTime,
		phoneFlags: phoneFlags{Audio: audioFlag{phone.Audio{Tone: 440}}}, Expect: []string{"answered", "agent", "recorded", "two-way-audio"}}
	begin := time.Now()
	m := c.place(ctx, p, nil)
	if err := p.Close(); err != nil {
		a.log.Error("self-test's phone not closed", "err", err)
	}
	if !m.OK {
		fmt.Fprintf(out, "  %-10s FAILED: no %v (status %d %s, answered by %q, heard %v)\n", "self-test", m.Missing, m.Status, m.Reason, m.AnsweredBy, m.Heard)
		return fmt.Errorf("self-test: no %v", m.Missing)
	}
	fmt.Fprintf(out, "  %-10s OK in %.1f s: INVITE %s -> answered %.0f ms -> notice -> %s answered -> two-way audio (%s, %d of %d packets lost) -> recorded -> %s\n",
		"self-test", time.Since(begin).Seconds(), number, m.Answer, m.AnsweredBy, m.Codec, m.Lost, m.Lost+m.Received, m.Call)
	return nil
}
