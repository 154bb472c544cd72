// Package phone is a softphone without a sound card: it registers, calls, rings and answers at any SIP server, and
// instead of playing sound it measures what it hears. `callhall call` and `callhall agent` are made of it, and so are
// the end-to-end tests. It knows nothing of the server that it talks to but SIP, SDP and RTP.
package phone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"callhall/media"
)

// Config is what a phone is made of.
type Config struct {
	// Listen is the address that SIP comes to, "127.0.0.1:0". It must name one address of this machine, because
	// others are told it. Empty: the address from which Server is reached, and a free port.
	Listen string
	// Transport is what our own requests leave by: "udp" (which empty means) or "tcp". Both are listened to.
	Transport string
	// Server is the "host:port" that requests outside dialogs are sent to, whatever their URI says. Empty: as the URI
	// says.
	Server string
	// Domain is the right side of our address, and what is registered at. Empty: Server's host.
	Domain string
	// User and Password are the account, if there is one.
	User, Password string
	// Media carries the sound. Nil: an engine of the phone's own, with the ports PortMin to PortMax (0: 40000 to
	// 49998), of which it takes those that are free.
	Media            *media.Engine
	PortMin, PortMax int
	// Capture is given every datagram and every read of a stream as it came, before it is parsed. The bytes are its
	// own. It is called by one goroutine for each socket. Nil: nobody is.
	Capture func(raw []byte)
}

// A Phone is one softphone. Its methods may be called from any goroutine.
type Phone struct {
	cfg    Config
	log    *slog.Logger
	ua     *sipgo.UserAgent
	client *sipgo.Client
	engine *media.Engine
	own    bool // the engine is ours to close
	at     netip.AddrPort
	deaf   atomic.Bool // nothing that comes is taken any more

	serving sync.WaitGroup // listeners
	calls   sync.WaitGroup // whoever runs a call
	sockets []interface{ Close() error }

	mu        sync.Mutex
	closed    bool
	policy    *shift // what to do with calls; nil: nobody is at the phone
	live      map[*Call]struct{}
	dialogs   map[string]*Call // those of them that are up, by dialog key
	incoming  int              // calls that came in and are not over
	cancelled map[string]time.Time
	realm     string // to which our password was given
}

// A shift is one Serve.
type shift struct {
	Policy
	ctx   context.Context // Serve's
	calls sync.WaitGroup
}

// raiseDatagramLimit lets messages of any size leave by UDP; sipgo keeps back what is over 1,300 bytes. The limit is
// one of its package variables: where a server runs in this process, it has set it already.
var raiseDatagramLimit = sync.OnceFunc(func() {
	if sip.UDPMTUSize != 65535 {
		sip.UDPMTUSize = 65535
	}
})

// New opens the phone's sockets and answers what comes; calls are refused until Serve. Close it when it is done with.
func New(cfg Config, log *slog.Logger) (*Phone, error) {
	raiseDatagramLimit()
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("phone: %w", err)
	}
	p := &Phone{cfg: cfg, log: log, engine: cfg.Media, live: map[*Call]struct{}{}, dialogs: map[string]*Call{}, cancelled: map[string]time.Time{}}
	if err := p.open(); err != nil {
		return nil, fmt.Errorf("phone: %w", errors.Join(err, p.Close()))
	}
	return p, nil
}

// complete fills in what was left out.
func (c Config) complete() (Config, error) {
	if c.Transport == "" {
		c.Transport = "udp"
	}
	if c.Transport != "udp" && c.Transport != "tcp" {
		return c, fmt.Errorf("transport %q: want udp or tcp", c.Transport)
	}
	if c.Listen == "" && c.Server == "" {
		return c, errors.New("neither an address to listen on nor a server is given")
	}
	if c.Listen == "" {
		probe, err := net.Dial("udp", c.Server) // sends nothing; it asks the system for the way
		if err != nil {
			return c, fmt.Errorf("find the way to %s: %w", c.Server, err)
		}
		host, _, _ := net.SplitHostPort(probe.LocalAddr().String())
		probe.Close()
		c.Listen = net.JoinHostPort(host, "0")
	}
	if c.Domain == "" && c.Server != "" {
		host, _, err := net.SplitHostPort(c.Server)
		if err != nil {
			return c, fmt.Errorf("server: %w", err)
		}
		c.Domain = host
	}
	if c.PortMax == 0 {
		c.PortMin, c.PortMax = 40000, 49999
	}
	return c, nil
}

// open binds the sockets and starts to serve them.
func (p *Phone) open() error {
	packets, streams, err := bind(p.cfg.Listen)
	if err != nil {
		return err
	}
	p.sockets = append(p.sockets, packets, streams)
	p.at = netip.MustParseAddrPort(packets.LocalAddr().String())
	if p.cfg.Domain == "" {
		p.cfg.Domain = p.at.Addr().String()
	}
	if p.engine == nil {
		p.engine, err = media.Open(media.Config{Addr: p.at.Addr(), PortMin: p.cfg.PortMin, PortMax: p.cfg.PortMax, Loops: 1, Deaf: -1, Log: p.log})
		if err != nil {
			return err
		}
		p.own = true
	}
	return p.serve(packets, streams)
}

// bind takes the same port for UDP and TCP.
func bind(listen string) (net.PacketConn, net.Listener, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, nil, fmt.Errorf("listen: %w", err)
	}
	if addr, err := netip.ParseAddr(host); err != nil || addr.IsUnspecified() {
		return nil, nil, fmt.Errorf("listen on %q: want one address of this machine", host)
	}
	var tried error
	for range 20 { // a free UDP port may be taken on TCP
		packets, err := net.ListenPacket("udp", listen)
		if err != nil {
			return nil, nil, fmt.Errorf("listen: %w", err)
		}
		streams, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, streams, nil
		}
		packets.Close()
		if tried = err; port != "0" {
			break
		}
	}
	return nil, nil, fmt.Errorf("listen: %w", tried)
}

// serve starts sipgo on the sockets.
func (p *Phone) serve(packets net.PacketConn, streams net.Listener) error {
	quiet := slog.New(slog.DiscardHandler) // sipgo logs whole messages
	var err error
	p.ua, err = sipgo.NewUA(
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(quiet), sip.WithTransportLayerReadFilter(p.captured)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(quiet),
			sip.WithTransactionLayerUnhandledResponseHandler(func(*sip.Response) {})))
	if err != nil {
		return err
	}
	server, err := sipgo.NewServer(p.ua, sipgo.WithServerLogger(quiet))
	if err != nil {
		return err
	}
	options := []sipgo.ClientOption{sipgo.WithClientLogger(quiet), sipgo.WithClientAddr(p.at.String()), sipgo.WithClientNAT()}
	if p.cfg.Transport == "udp" {
		options = append(options, sipgo.WithClientConnectionAddr(p.at.String())) // from the port that we listen on
	}
	if p.client, err = sipgo.NewClient(p.ua, options...); err != nil {
		return err
	}
	p.handle(server)
	// A request of ours that is quicker than ServeUDP below must find the socket.
	p.ua.TransportLayer().Pool("udp").Add(p.at.String(), &sip.UDPConnection{PacketConn: packets, PacketAddr: p.at.String(), Listener: true})
	p.serving.Go(func() { _ = server.ServeUDP(packets) })
	p.serving.Go(func() { _ = server.ServeTCP(streams) })
	return nil
}

// captured shows what came to Config.Capture. At the end it lets nothing through: sipgo would open a new socket to
// answer a request whose own is closed, and nobody would close that.
func (p *Phone) captured(_ sip.TransportReadProps, data []byte) ([]byte, error) {
	if p.deaf.Load() {
		return nil, nil
	}
	if p.cfg.Capture != nil {
		p.cfg.Capture(append([]byte(nil), data...))
	}
	return data, nil
}

// Addr is where the phone listens, on UDP and TCP.
func (p *Phone) Addr() netip.AddrPort { return p.at }

// URI is the phone's own address as others may dial it without a server.
func (p *Phone) URI() string {
	contact := p.contact()
	return contact.Address.String()
}

// contact is the Contact field of what we send (RFC 3261 §8.1.1.8).
func (p *Phone) contact() sip.ContactHeader {
	uri := sip.Uri{Scheme: "sip", User: p.user(), Host: p.at.Addr().String(), Port: int(p.at.Port())}
	if p.cfg.Transport != "udp" {
		uri.UriParams.Add("transport", p.cfg.Transport)
	}
	return sip.ContactHeader{Address: uri}
}

func (p *Phone) user() string {
	if p.cfg.User == "" {
		return "phone"
	}
	return p.cfg.User
}

// settle is what sipgo is given at the end for messages that it took just before: it handles each on a goroutine that
// nobody can wait for, and one that finds our socket closed opens another, which would stay.
const settle = 20 * time.Millisecond

// Close hangs up every call, waits until they are over, and closes the sockets. It may be called twice.
func (p *Phone) Close() error {
	p.mu.Lock()
	closed := p.closed
	p.closed = true
	for c := range p.live {
		c.quitOnce()
	}
	p.mu.Unlock()
	if closed {
		return nil
	}
	p.calls.Wait()
	p.deaf.Store(true)
	<-time.After(settle)
	var faults []error
	for _, s := range p.sockets {
		if err := s.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			faults = append(faults, err)
		}
	}
	p.serving.Wait()
	if p.ua != nil {
		_ = p.ua.Close() // says that sockets are closed already
	}
	if p.own {
		faults = append(faults, p.engine.Close())
	}
	return errors.Join(faults...)
}

// allow is what a phone takes.
const allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"

// handle sets what is done with requests.
func (p *Phone) handle(server *sipgo.Server) {
	server.OnInvite(p.onInvite)
	server.OnAck(func(req *sip.Request, _ sip.ServerTransaction) {
		if c := p.callOf(req); c != nil {
			c.onAck(req)
		}
	})
	server.OnCancel(p.onCancel)
	server.OnBye(p.within((*Call).onBye))
	server.OnInfo(p.within((*Call).onInfo))
	server.OnOptions(func(req *sip.Request, tx sip.ServerTransaction) {
		p.respond(req, tx, 200, "OK", sip.NewHeader("Allow", allow), sip.NewHeader("Accept", "application/sdp"))
	})
	server.OnNoRoute(func(req *sip.Request, tx sip.ServerTransaction) {
		p.respond(req, tx, 405, "Method Not Allowed", sip.NewHeader("Allow", allow))
	})
}

// within returns a handler for requests within a dialog (RFC 3261 §12.2.2).
func (p *Phone) within(f func(*Call, *sip.Request, sip.ServerTransaction)) sipgo.RequestHandler {
	return func(req *sip.Request, tx sip.ServerTransaction) {
		c := p.callOf(req)
		if c == nil {
			p.respond(req, tx, 481, "Call Does Not Exist")
			return
		}
		if err := c.dialog().accept(req); err != nil {
			p.respond(req, tx, 500, "Out Of Order")
			return
		}
		f(c, req, tx)
	}
}

// callOf finds the call that a request belongs to; nil is none.
func (p *Phone) callOf(req *sip.Request) *Call {
	if req.CallID() == nil || req.To() == nil || req.CSeq() == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dialogs[dialogKey(string(*req.CallID()), tagOf(req.To().Params))]
}

// respond answers with nothing but a status and headers.
func (p *Phone) respond(req *sip.Request, tx sip.ServerTransaction, code int, reason string, headers ...sip.Header) {
	res := sip.NewResponseFromRequest(req, code, reason, nil)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	if err := tx.Respond(res); err != nil {
		p.log.Debug("answer not sent", "status", code, "err", err)
	}
}

// parse reads a URI that a person wrote: "sip:311@host", "tel:…", "311@host" or "311" at our domain.
func (p *Phone) parse(text string) (sip.Uri, error) {
	scheme, _, hasScheme := strings.Cut(text, ":")
	if !hasScheme || !strings.EqualFold(scheme, "sip") && !strings.EqualFold(scheme, "tel") && !strings.EqualFold(scheme, "sips") {
		text = "sip:" + text
	}
	if strings.HasPrefix(strings.ToLower(text), "sip") && !strings.Contains(text, "@") && p.cfg.Server != "" {
		text += "@" + p.cfg.Domain
	}
	var uri sip.Uri
	if err := sip.ParseUri(text, &uri); err != nil {
		return uri, fmt.Errorf("address %q: %w", text, err)
	}
	if uri.Scheme != "tel" && uri.Host == "" {
		return uri, fmt.Errorf("address %q: it has no host", text)
	}
	return uri, nil
}
