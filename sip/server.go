package sip

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
	"github.com/prometheus/client_golang/prometheus"

	"callhall/ani"
	"callhall/call"
	"callhall/media"
)

// Config is all that an operator may set of SIP.
type Config struct {
	// Listen has the addresses to listen on: "udp://127.0.0.1:5060", "tcp://127.0.0.1:5060". Port 0 takes a free one.
	Listen []string
	// Advertise is the address that others are told to send to (Via, Contact). Zero: the listener's own. It is needed
	// when the listener's is 0.0.0.0 or [::].
	Advertise netip.Addr
	// Trunks are the carriers. A call from anywhere else is refused.
	Trunks []Trunk
	// Partners are those outside whom calls may be carried on to.
	Partners []Partner
	// Cities says how each city shows itself to those it calls.
	Cities []City
	// Realm is the domain that phones register in, and the realm of their passwords.
	Realm string
	// Digest names the algorithms that phones are offered, best first: "SHA-256", "MD5" (RFC 8760). None: both. Phones
	// that know MD5 alone may stumble over being offered more than that.
	Digest []string
	// MinExpires and MaxExpires bound a registration. Zero: 60 s and 1 h.
	MinExpires, MaxExpires time.Duration
	// SilenceLimit is how long a party who is neither held nor muted may send nothing at all before its leg is
	// ended. Zero: 30 s.
	SilenceLimit time.Duration
	// MaxLegs is how many legs may exist before new calls get 503. Zero: 4000.
	MaxLegs int
}

// withDefaults fills in what an operator left out.
func (c Config) withDefaults() Config {
	if c.Realm == "" {
		c.Realm = "callhall.invalid"
	}
	if c.MinExpires == 0 {
		c.MinExpires = time.Minute
	}
	if c.MaxExpires == 0 {
		c.MaxExpires = time.Hour
	}
	if c.SilenceLimit == 0 {
		c.SilenceLimit = 30 * time.Second
	}
	if c.MaxLegs == 0 {
		c.MaxLegs = 4000
	}
	return c
}

// Deps is what the server works with. Registry, Now and Egress may be nil; without Egress nothing of a caller is shown to
// anybody, and no caller can be called back.
type Deps struct {
	Log         *slog.Logger
	Registry    prometheus.Registerer
	Now         func() time.Time
	Media       *media.Engine
	Prompts     *media.Library
	Entries     Entries
	Identities  Identities
	Egress      Egress
	Switchboard Switchboard
	Agents      Agents
	Presence    Presence
}

// ErrUnknownEntry is what Entries says of a number that is nobody's here.
var ErrUnknownEntry = errors.New("no city has this number on this trunk")

// Entries finds whose number was dialled.
type Entries interface {
	// Entry returns the entry that dialled, in the form parseDialled gives it ("311", "+12125550142"), is on that
	// trunk. Errors: ErrUnknownEntry; there is no default city.
	Entry(trunk call.TrunkID, dialled string) (Entry, error)
	// Own lists the numbers that may be dialled on that trunk, as they are configured.
	Own(trunk call.TrunkID) []string
}

// Entry is one number of a city.
type Entry struct {
	City     call.CityID
	Number   string // as configured, for records
	Queue    call.QueueID
	Language string // BCP 47
}

// Switchboard runs calls.
type Switchboard interface {
	// Take runs the call on the caller's goroutine and returns when it is over.
	Take(ctx context.Context, a call.Arrival) call.End
}

// Identities keeps callers' numbers.
type Identities interface {
	// Capture seals what the headers say of the caller. What it returns has no digits, and is durable. With an error
	// the Caller is right all the same, but has no class; the number is then only to be had while the call goes on.
	Capture(ctx context.Context, in ani.Incoming) (ani.Caller, error)
	// Over says that a captured call has ended.
	Over(city call.CityID, id call.ID)
}

// A Server is Callhall's SIP side: it takes calls from trunks, registers phones and rings them. It is a call.Phones.
type Server struct {
	cfg    Config
	deps   Deps
	log    *slog.Logger
	quiet  *slog.Logger // for sipgo: no text of a message in it
	timers timers
	secret []byte // keys the tags of answers without state

	ua        *sipgo.UserAgent
	listeners []*listener
	trunks    *trunks
	directory *directory
	gate      *gate
	admission *admission
	registrar *registrar
	counts    *counts

	dialogs  *dialogs      // legs by dialog, for requests within one
	posts    *posts        // which agents have a leg, under which claim
	arriving *arriving     // INVITEs, and CANCELs that came before theirs
	handling *crew         // all handlers of requests
	calls    *crew         // INVITE handlers, each running a call; closed when draining
	work     *crew         // what outlives a call by moments: our BYE, CANCEL and INFO
	closing  chan struct{} // closed when the far sides have had their time to answer
}

// timers are the intervals of RFC 3261 §17.1.1.1 for what is retransmitted and awaited here. sipgo has its own.
type timers struct {
	t1, t2 time.Duration
	stray  time.Duration // how long a CANCEL that came first waits for its INVITE
}

// patience is how long an answer or an ACK is waited for: 64·T1 (RFC 3261 §13.3.1.4, §17.1.2.2).
func (t timers) patience() time.Duration { return 64 * t.t1 }

// prepareSipgo sets sipgo's package variables, once for the process. Answers of any size may leave by UDP: sipgo would
// keep back what is over 1,300 bytes and the caller would hear nothing, but an answer has to go where its request came
// from (RFC 3261 §18.2.2). And what sipgo logs past the loggers it is given is dropped, since it may quote a header.
var prepareSipgo = sync.OnceFunc(func() {
	sip.UDPMTUSize = 65535
	sip.SetDefaultLogger(slog.New(slog.DiscardHandler))
})

// New opens the sockets named in cfg and returns a server that does not read from them before Run.
func New(cfg Config, d Deps) (*Server, error) {
	prepareSipgo()
	cfg = cfg.withDefaults()
	if d.Now == nil {
		d.Now = time.Now
	}
	trunks, err1 := newTrunks(cfg.Trunks)
	offers, err2 := algorithms(cfg.Digest)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("sip: %w", err)
	}
	directory, err := newDirectory(cfg, trunks)
	if err != nil {
		return nil, fmt.Errorf("sip: %w", err)
	}
	quiet := slog.New(newLogHandler(d.Log.Handler()))
	gate := newGate(trunks, d.Now)
	ua, err := newUserAgent(gate, quiet)
	if err != nil {
		return nil, fmt.Errorf("sip: %w", err)
	}
	s := &Server{
		cfg: cfg, deps: d, log: d.Log, quiet: quiet, secret: []byte(rand.Text()),
		timers: timers{t1: 500 * time.Millisecond, t2: 4 * time.Second, stray: 200 * time.Millisecond},
		ua:     ua, trunks: trunks, directory: directory, gate: gate,
		admission: newAdmission(d),
		registrar: newRegistrar(cfg, offers, d),
		dialogs:   newDialogs(),
		posts:     newPosts(),
		arriving:  newArriving(),
		handling:  newCrew(false, d.Log),
		calls:     newCrew(false, d.Log),
		work:      newCrew(true, d.Log),
		closing:   make(chan struct{}),
	}
	if s.listeners, err = listen(cfg, trunks, d.Log); err != nil {
		return nil, fmt.Errorf("sip: %w", errors.Join(err, ua.Close()))
	}
	if s.counts, err = newCounts(d.Registry); err != nil { // last, so that New may be tried again with other ports
		s.closeListeners()
		return nil, fmt.Errorf("sip: count: %w", errors.Join(err, ua.Close()))
	}
	return s, nil
}

// newUserAgent returns sipgo's two lower layers, with our parser, our gate before it and nothing of a message in logs.
func newUserAgent(g *gate, log *slog.Logger) (*sipgo.UserAgent, error) {
	return sipgo.NewUA(
		sipgo.WithUserAgentParser(newParser()),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(log), sip.WithTransportLayerReadFilter(g.filter)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(log),
			sip.WithTransactionLayerUnhandledResponseHandler(func(*sip.Response) {})),
	)
}

// Addrs is where the server listens, as "udp://127.0.0.1:5060".
func (s *Server) Addrs() []string {
	addrs := make([]string, 0, len(s.listeners))
	for _, l := range s.listeners {
		addrs = append(addrs, l.String())
	}
	return addrs
}

// Legs is how many dialogs exist now, those included whose BYE is still under way.
func (s *Server) Legs() int { return s.dialogs.len() }

// Drain makes the server refuse new calls with 503 from now on. Calls in progress go on.
func (s *Server) Drain() { s.calls.close() }

// Run serves until ctx ends. Then it refuses new calls, waits for those in progress, whose ctx has ended too, lets
// what they still have to say go out, and closes the sockets. It may be called once. Errors: a socket that failed.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	server, err := sipgo.NewServer(s.ua, sipgo.WithServerLogger(s.quiet))
	if err != nil {
		return fmt.Errorf("sip: start: %w", err)
	}
	if err := s.askPhones(); err != nil {
		return fmt.Errorf("sip: start: %w", err)
	}
	s.handle(ctx, server)
	var loops sync.WaitGroup
	failed := make(chan error, len(s.listeners))
	for _, l := range s.listeners {
		loops.Go(func() { failed <- l.serve(server) })
	}
	loops.Go(func() { s.registrar.run(ctx) })
	select {
	case <-ctx.Done():
	case err = <-failed:
		s.log.Error("a SIP listener stopped", "err", err)
		stop()
	}
	s.finish()
	loops.Wait()
	return err
}

// askPhones lets the registrar ask phones whether they are there.
func (s *Server) askPhones() error {
	var options []sipgo.ClientOption
	if s.cfg.Advertise.IsValid() {
		options = append(options, sipgo.WithClientHostname(s.cfg.Advertise.String()))
	}
	client, err := sipgo.NewClient(s.ua, append(options, sipgo.WithClientNAT(), sipgo.WithClientLogger(s.quiet))...)
	if err != nil {
		return err
	}
	s.registrar.ask = askWith(client, s.cfg.Realm)
	return nil
}

// lastWords is how long the far sides may take to answer our last requests before the sockets are closed.
const lastWords = 4 * time.Second

// finish ends what is under way and closes the sockets.
func (s *Server) finish() {
	s.calls.close()
	<-s.calls.over()
	s.work.close()
	select {
	case <-s.work.over():
	case <-time.After(lastWords):
	}
	close(s.closing)
	s.turnDeaf()
	s.closeListeners()
	if err := s.ua.Close(); err != nil { // ends the transactions that are left
		s.log.Debug("connections not closed cleanly", "err", err)
	}
	<-s.work.over()
}

// settling is how long a request that was read before we turned deaf may take to reach its handler.
const settling = 50 * time.Millisecond

// turnDeaf returns when no request is being handled and none is any more. Were one answered behind a closed socket, sipgo
// would open another, which nobody closes.
func (s *Server) turnDeaf() {
	for _, l := range s.listeners {
		l.deaf.Store(true)
	}
	<-time.After(settling)
	s.handling.close()
	<-s.handling.over()
}

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		l.close()
	}
}
