package phone

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"callhall/sip/digest"
)

// A testServer is a strange server: it wants passwords, and long registrations.
type testServer struct {
	addr   string
	offers []string // algorithms
	seen   chan string
}

func startServer(t *testing.T, offers ...string) *testServer {
	t.Helper()
	ua, err := sipgo.NewUA()
	if err != nil {
		t.Fatal(err)
	}
	server, err := sipgo.NewServer(ua)
	if err != nil {
		t.Fatal(err)
	}
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &testServer{addr: packets.LocalAddr().String(), offers: offers, seen: make(chan string, 16)}
	server.OnRegister(s.guarded(401, "WWW-Authenticate", "Authorization", s.register))
	server.OnInvite(s.guarded(407, "Proxy-Authenticate", "Proxy-Authorization", func(req *sip.Request) *sip.Response {
		return sip.NewResponseFromRequest(req, 486, "Busy Here", nil)
	}))
	server.OnAck(func(*sip.Request, sip.ServerTransaction) {})
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.ServeUDP(packets) })
	t.Cleanup(func() { packets.Close(); serving.Wait(); ua.Close() })
	return s
}

// guarded asks for ana's password.
func (s *testServer) guarded(code int, asks, says string, next func(*sip.Request) *sip.Response) sipgo.RequestHandler {
	return func(req *sip.Request, tx sip.ServerTransaction) {
		c, ok := digest.ParseCredentials(valueOf(req, says))
		a, known := digest.Named(c.Algorithm)
		if ok && known && c.Nonce == "n1" && c.Response == a.Response(c, string(req.Method), "swordfish") {
			s.seen <- string(req.Method) + " " + a.Name + " " + valueOf(req, "Expires")
			_ = tx.Respond(next(req))
			return
		}
		res := sip.NewResponseFromRequest(req, code, "Who Is There", nil)
		for _, offer := range s.offers {
			c := digest.Challenge{Realm: "there.example", Nonce: "n1", Algorithm: offer, QOP: []string{"auth"}}
			res.AppendHeader(sip.NewHeader(asks, c.String()))
		}
		_ = tx.Respond(res)
	}
}

func (s *testServer) register(req *sip.Request) *sip.Response {
	if expires := valueOf(req, "Expires"); expires != "0" && len(expires) < 4 {
		res := sip.NewResponseFromRequest(req, 423, "Interval Too Brief", nil)
		res.AppendHeader(sip.NewHeader("Min-Expires", "1200"))
		return res
	}
	res := sip.NewResponseFromRequest(req, 200, "OK", nil)
	res.AppendHeader(sip.NewHeader("Contact", req.Contact().Value()+";expires=1800"))
	return res
}

// next is what the server saw next.
func (s *testServer) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-s.seen:
		return line
	case <-time.After(limit):
		t.Fatal("the server saw nothing")
		return ""
	}
}

func TestRegister(t *testing.T) {
	for want, offers := range map[string][]string{
		"SHA-256": {"MD5", "SHA-512-256", "SHA-256"}, // the best that we know, wherever it stands
		"MD5":     {"SHA-512-256", "MD5"},
	} {
		s := startServer(t, offers...)
		p := newPhone(t, Config{Server: s.addr, User: "ana", Password: "swordfish", Domain: "there.example"})
		ctx, cancel := context.WithCancel(t.Context())
		until := make(chan time.Time, 1)
		var registering sync.WaitGroup
		registering.Go(func() {
			if err := p.Register(ctx, func(at time.Time) { until <- at }); err != nil {
				t.Error(err)
			}
		})
		for _, line := range []string{" 300", " 1200"} { // asked again for as long as the server wants
			if got := s.next(t); got != "REGISTER "+want+line {
				t.Errorf("the server saw %q, want %s%s", got, want, line)
			}
		}
		if left := time.Until(<-until); left < 1700*time.Second || left > 1800*time.Second {
			t.Errorf("registered for %s", left)
		}
		cancel()
		if got := s.next(t); got != "REGISTER "+want+" 0" {
			t.Errorf("at the end the server saw %q", got)
		}
		registering.Wait()
	}
}

func TestRegisterRefused(t *testing.T) {
	for name, cfg := range map[string]Config{
		"wrong password": {User: "ana", Password: "guess"}, "none": {User: "ana"},
	} {
		s := startServer(t, "SHA-256")
		cfg.Server = s.addr
		if err := newPhone(t, cfg).Register(t.Context(), nil); !errors.Is(err, ErrNoRegistration) || !strings.Contains(err.Error(), "401") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInviteAnswersAChallenge(t *testing.T) {
	s := startServer(t, "SHA-256", "MD5")
	p := newPhone(t, Config{Server: s.addr, User: "ana", Password: "swordfish"})
	out := dial(t, t.Context(), p, "311", Options{})
	if e := expect[Ended](t, out); e.Status != 486 {
		t.Errorf("%+v", e)
	}
	if got := s.next(t); got != "INVITE SHA-256 " {
		t.Errorf("the server saw %q", got)
	}
}

// A far side that challenges a request within a call is fishing (CVE-2021-41158), unless it has the password already.
func TestPasswordStaysWithItsRealm(t *testing.T) {
	p := newPhone(t, Config{User: "ana", Password: "swordfish"})
	challenged := func(realm string, inDialog bool) error {
		req := sip.NewRequest(sip.BYE, sip.Uri{Scheme: "sip", Host: "h"})
		req.AppendHeader(&sip.CSeqHeader{SeqNo: 1, MethodName: sip.BYE})
		res := sip.NewResponse(401, "Who Is There")
		c := digest.Challenge{Realm: realm, Nonce: "n", Algorithm: "MD5", QOP: []string{"auth"}}
		res.AppendHeader(sip.NewHeader("WWW-Authenticate", c.String()))
		return p.authorize(req, res, inDialog)
	}
	if err := challenged("thief.example", true); !errors.Is(err, errRefused) {
		t.Errorf("a stranger's challenge within a call: %v", err)
	}
	if err := challenged("there.example", false); err != nil {
		t.Error(err)
	}
	if err := challenged("there.example", true); err != nil {
		t.Error(err)
	}
	if err := challenged("thief.example", true); !errors.Is(err, errRefused) {
		t.Errorf("another realm: %v", err)
	}
}
