package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// serveCmd runs the server.
type serveCmd struct {
	DataDir    string `placeholder:"DIR" help:"Everything that must survive a restart."`
	HTTPListen string `name:"http.listen" placeholder:"ADDR" help:"Address of the API."`
	SIPListen  string `name:"sip.listen" placeholder:"URLS" help:"Addresses for SIP, separated by commas: udp://127.0.0.1:5060."`
	LogLevel   string `name:"log.level" placeholder:"LEVEL" help:"debug, info, warn or error."`
	LogFormat  string `name:"log.format" placeholder:"FORMAT" help:"auto, text or json."`
	SelfTest   string `enum:"auto,require,off" default:"auto" help:"Place a test call at start: auto tells how it went, require ends the server if it fails, off places none."`
}

// settings are the flags that stand above the configuration file.
func (c serveCmd) settings() []Setting {
	var set []Setting
	for _, f := range []struct{ flag, key, value string }{
		{"--data-dir", "data_dir", c.DataDir}, {"--http.listen", "http.listen", c.HTTPListen}, {"--sip.listen", "sip.listen", c.SIPListen},
		{"--log.level", "log.level", c.LogLevel}, {"--log.format", "log.format", c.LogFormat},
	} {
		if f.value != "" {
			set = append(set, Setting{Key: f.key, Value: f.value, Origin: f.flag})
		}
	}
	return set
}

// Run serves until ctx ends and every call is over, or the drain deadline has passed.
func (c serveCmd) Run(ctx context.Context, t *terminal) error {
	cfg, faults := Load(t.Config, t.Env, c.settings()...)
	if len(faults) > 0 {
		return tellFaults(t, faults)
	}
	if err := noCores(); err != nil {
		return fmt.Errorf("forbid core files, which could hold callers' numbers: %w", err)
	}
	log := newLog(cfg.Log, t.Err)
	a, err := openApp(ctx, cfg, log, nil)
	if err != nil {
		return err
	}
	err = c.serve(ctx, a, t.Out)
	return errors.Join(err, a.Close())
}

// serve runs the app, tells what it listens on and tests itself. A server that was to test itself and failed stops.
func (c serveCmd) serve(ctx context.Context, a *app, out io.Writer) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	beside, stopBeside := context.WithCancel(context.WithoutCancel(ctx)) // a drain needs the built-in agents to the end
	defer stopBeside()
	var h helpers
	a.drained = func() { stopBeside(); h.phones.Wait() }
	ended := make(chan error, 1)
	go func() {
		err := a.Run(ctx)
		stop(nil) // also where the app ended by itself
		ended <- err
	}()

	a.tell(out)
	err := c.startHelpers(ctx, beside, a, &h, out)
	if err == nil {
		fmt.Fprintln(out, "ready")
	} else {
		stop(err)
	}
	return errors.Join(err, <-ended)
}

// tell prints where the server is and what it holds. Every address in it answers.
func (a *app) tell(out io.Writer) {
	origin := "configuration " + a.cfg.origin()
	if a.cfg.Development {
		origin = "no config file: development mode, loopback only"
	}
	fmt.Fprintf(out, "callhall %s  %s\n", version(), origin)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "  %-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	scheme := "http"
	if a.cfg.HTTP.TLS.CertFile != "" {
		scheme = "https"
	}
	line("api", "%s://%s/   admin http://%s/metrics /livez /readyz", scheme, a.http.Addr(), a.admin.Addr())
	line("sip", "%s   rtp %s:%s", strings.Join(a.sip.Addrs(), " "), a.cfg.RTP.Listen, a.cfg.RTP.Ports)
	line("state", "in memory   records sqlite %s   ledger, numbers and keys %s", a.path("records.db"), a.path("sealed.db"))
	for _, city := range a.cfg.Cities {
		if city.Recording.Mode == RecordAlways {
			line("recordings", "%s: %s (erased after 14 days)", city.ID, city.Recording.Store.where())
		} else {
			line("recordings", "%s: off", city.ID)
		}
		for _, n := range city.Numbers {
			line("number", "%s: %s (%s) -> %s", city.ID, n.Number, n.Language, n.Queue)
		}
		line("agents", "%s: %s", city.ID, city.agentNames())
		if city.ANI.Owner != "" {
			line("owner", "%s: %s answers for callers' numbers", city.ID, city.ANI.Owner)
		}
	}
	if a.cfg.Development {
		line("try", "callhall call%s             place a call from a second terminal", unless(" --server ", a.sipHost("udp"), defaultServer))
		line("", "callhall records list%s     see its record", unless(" --url http://", a.http.Addr().String(), defaults().HTTP.Listen.String()))
		line("", "a softphone               sip:1001@%s, password in %s", a.sipHost("udp"), a.path("agents", "1001.secret"))
	}
}

// defaultServer is where callhall call looks for a server that is not named.
const defaultServer = "127.0.0.1:5060"

// unless is a flag with a value, where the value is not the flag's default.
func unless(flag, value, standard string) string {
	if value == standard {
		return ""
	}
	return flag + value
}

// where says where a city's recordings lie.
func (s StoreConfig) where() string {
	if s.Kind == StoreS3 {
		return "s3 " + s.S3.Endpoint + "/" + s.S3.Bucket
	}
	return string(s.Dir)
}

// agentNames lists a city's agents for people.
func (c CityConfig) agentNames() string {
	const most = 5
	var names []string
	for _, a := range c.Agents {
		name := string(a.ID)
		if a.BuiltIn {
			name += " (built-in, answers by itself)"
		}
		if names = append(names, name); len(names) == most && len(c.Agents) > most {
			return fmt.Sprintf("%s and %d more", strings.Join(names, ", "), len(c.Agents)-most)
		}
	}
	return strings.Join(names, ", ")
}

// sipHost is the host and port of the first listener of that transport, empty without one.
func (a *app) sipHost(transport string) string {
	for _, addr := range a.sip.Addrs() {
		if host, ok := strings.CutPrefix(addr, transport+"://"); ok {
			return host
		}
	}
	return ""
}

// newLog writes text to a terminal and JSON elsewhere, unless the configuration says which.
func newLog(c LogConfig, to io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // the configuration was checked: this is its default
	}
	options := &slog.HandlerOptions{Level: level}
	text := c.Format == "text" || c.Format == "auto" && isTerminal(to)
	if text {
		return slog.New(slog.NewTextHandler(to, options))
	}
	return slog.New(slog.NewJSONHandler(to, options))
}

// isTerminal tells whether a person reads w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// helpers are the phones that a development server runs beside itself.
type helpers struct{ phones sync.WaitGroup }

// selfTestTime bounds the test call at start.
const selfTestTime = 20 * time.Second
