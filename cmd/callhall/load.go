package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"callhall/bench/load"
)

// loadFlags turn a test call into a load of many: callers and agents in one process, with batched sockets.
type loadFlags struct {
	Load       bool          `help:"Place the calls of --count as a load: one process, no sound card, sums instead of a report for each call."`
	Hold       time.Duration `default:"10s" help:"With --load: how long an agent talks; without --agents-file, how long a caller stays once answered."`
	AgentsFile SecretFile    `placeholder:"FILE" help:"With --load: agents to register and to answer with, a line of user and password each. They answer at once."`
	NoSound    bool          `help:"With --load: set up calls and send no RTP."`
	GiveUp     time.Duration `default:"60s" help:"With --load: how long to wait, after the last call should be over, before what is left is hung up."`
}

// How long the ends of a load may take: of the calls that are hung up, and of the agents' registrations.
const (
	loadCloseTime    = 40 * time.Second
	loadRegisterTime = 60 * time.Second
)

// runLoad places count calls at rate a second at any SIP server over UDP and prints what came of them. It fails where
// a call failed. When ctx ends it hangs up, and prints what there was.
func runLoad(ctx context.Context, t *terminal, server, to, from string, count int, rate float64, f loadFlags) error {
	if count < 1 || rate <= 0 {
		return badUsage{errors.New("--count and --rate are above zero")}
	}
	cfg := load.Config{To: to, From: from, Calls: count, Rate: rate, Media: !f.NoSound}
	var err error
	if cfg.Server, err = resolveSIP(ctx, server); err != nil {
		return err
	}
	if f.AgentsFile == "" {
		cfg.Callers = f.Hold
	} else if cfg.Agents, err = readAgents(f.AgentsFile); err != nil {
		return err
	} else {
		cfg.Hold = f.Hold
	}
	g, err := load.Open(cfg)
	if err != nil {
		return fmt.Errorf("open the load: %w", err)
	}
	r, cut, err := drive(ctx, g, f)
	if err = errors.Join(err, g.Close()); err != nil {
		return err
	}
	if err := printLoad(t, summaryOf(r, cut)); err != nil {
		return err
	}
	switch bad := r.Failed + r.GivenUp; {
	case bad > 0:
		return fmt.Errorf("%d of %d calls did not come up", bad, r.Placed)
	case cut > 0:
		return fmt.Errorf("%d of %d calls were not over in time and were hung up", cut, r.Placed)
	default:
		return nil
	}
}

// drive takes a load from the registrations to the last BYE. It tells how many calls it had to cut short.
func drive(ctx context.Context, g *load.Generator, f loadFlags) (r load.Result, cut int, err error) {
	up, cancel := context.WithTimeout(ctx, loadRegisterTime)
	defer cancel()
	if err := g.Register(up); err != nil {
		return load.Result{}, 0, err
	}
	if g.Place(ctx) == nil {
		over, cancel := context.WithTimeout(ctx, f.Hold+f.GiveUp)
		defer cancel()
		g.WaitOver(over) // what is not over is hung up now
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadCloseTime)
	defer cancel()
	r = g.Result()
	cut = r.Placed - r.Ended - r.Failed
	g.HangUpAll()
	err = g.WaitOver(last)
	return g.Result(), cut, errors.Join(err, g.Unregister(last))
}

// resolveSIP is the address of a server named as host, host:port or address.
func resolveSIP(ctx context.Context, server string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		host, port = server, "5060"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, badUsage{fmt.Errorf("--server: %q has no port of a number", server)}
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("find the server %s: %w", server, err)
	}
	return netip.AddrPortFrom(addrs[0].Unmap(), uint16(n)), nil
}

// readAgents reads lines of a user and a password. Blank lines and those that begin with # do not count.
func readAgents(file SecretFile) ([]load.Agent, error) {
	all, err := file.Read()
	if err != nil {
		return nil, fmt.Errorf("--agents-file: %w", err)
	}
	var agents []load.Agent
	for i, line := range strings.Split(all, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) != 2 {
			return nil, fmt.Errorf("--agents-file: %s:%d: not a user and a password", string(file), i+1) // the line is a secret
		}
		agents = append(agents, load.Agent{User: words[0], Password: words[1]})
	}
	if len(agents) == 0 {
		return nil, fmt.Errorf("--agents-file: %s names no agent", string(file))
	}
	return agents, nil
}

// loadSummary is what came of a load, as --json prints it.
type loadSummary struct {
	Placed    int `json:"placed"`
	Answered  int `json:"answered"`
	Connected int `json:"agents_connected"`
	Ended     int `json:"ended"`
	Failed    int `json:"failed"`
	GivenUp   int `json:"given_up"`  // hung up by us before an answer
	CutShort  int `json:"cut_short"` // hung up by us because they were not over in time, answered or not
	Resent    int `json:"messages_sent_again"`

	PostDial   percentiles `json:"post_dial_ms"`
	Answer     percentiles `json:"answer_ms"`
	FirstSound percentiles `json:"first_sound_ms"`
	AgentVoice percentiles `json:"agent_voice_ms"`

	Sent        uint64      `json:"packets_sent"`
	Heard       uint64      `json:"packets_heard"`
	Lost        uint64      `json:"packets_lost"`
	PacketDelay percentiles `json:"packet_delay_ms"`
}

// percentiles are of delays in milliseconds; zero where there were none.
type percentiles struct {
	P50  millis `json:"p50"`
	P99  millis `json:"p99"`
	P999 millis `json:"p99_9"`
}

func summaryOf(r load.Result, cut int) loadSummary {
	return loadSummary{Placed: r.Placed, Answered: r.Answered, Connected: r.Connected, Ended: r.Ended, Failed: r.Failed, GivenUp: r.GivenUp, CutShort: cut,
		Resent: r.Resent, PostDial: percentilesOf(r.PostDial), Answer: percentilesOf(r.Answer), FirstSound: percentilesOf(r.FirstSound),
		AgentVoice: percentilesOf(r.AgentSound), Sent: r.Sent, Heard: r.Heard, Lost: r.Lost,
		PacketDelay: percentiles{inMillis(r.Delay.P50), inMillis(r.Delay.P99), inMillis(r.Delay.P999)}}
}

func percentilesOf(ds []time.Duration) percentiles {
	return percentiles{inMillis(load.Percentile(ds, 0.50)), inMillis(load.Percentile(ds, 0.99)), inMillis(load.Percentile(ds, 0.999))}
}

func inMillis(d time.Duration) millis { return millis(float64(d.Microseconds()) / 1000) }

func printLoad(t *terminal, s loadSummary) error {
	if t.JSON {
		return json.NewEncoder(t.Out).Encode(s)
	}
	fmt.Fprintf(t.Out, "calls: %d placed, %d answered, %d agents connected, %d ended, %d failed, %d given up, %d cut short; %d messages sent again\n",
		s.Placed, s.Answered, s.Connected, s.Ended, s.Failed, s.GivenUp, s.CutShort, s.Resent)
	for _, line := range []struct {
		name string
		p    percentiles
	}{{"INVITE to ringing or answer", s.PostDial}, {"INVITE to answer", s.Answer}, {"answer to first sound", s.FirstSound},
		{"INVITE to the agent's voice", s.AgentVoice}, {"packet, end to end", s.PacketDelay}} {
		if line.p != (percentiles{}) {
			fmt.Fprintf(t.Out, "%-28s p50 %8.2f ms   p99 %8.2f ms   p99.9 %8.2f ms\n", line.name, line.p.P50, line.p.P99, line.p.P999)
		}
	}
	if s.Sent == 0 {
		return nil
	}
	_, err := fmt.Fprintf(t.Out, "packets: %d sent, %d heard at the far side, %d lost (%.4f %%)\n", s.Sent, s.Heard, s.Lost,
		100*float64(s.Lost)/float64(cmp.Or(s.Heard+s.Lost, 1)))
	return err
}
