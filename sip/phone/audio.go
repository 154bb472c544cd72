package phone

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"callhall/media"
)

// Audio is what a phone says. The zero Audio is silence: packets with nothing to hear in them.
type Audio struct {
	Tone float64 // hertz, a whole number of them for a clean loop
	File string  // a WAV file of 8000 mono samples a second, played again and again
	Echo bool    // what is heard is said back
}

// toneLevel is the peak of a tone that we say, of full scale: loud, and far from clipping.
const toneLevel = 0.3

// clip loads what is to be said.
func (a Audio) clip() (*media.Clip, error) {
	if a.File == "" {
		level := toneLevel
		if a.Tone == 0 {
			level = 0
		}
		return media.Tone(a.Tone, level, time.Second), nil
	}
	f, err := os.Open(a.File)
	if err != nil {
		return nil, fmt.Errorf("audio: %w", err)
	}
	defer f.Close()
	c, err := media.ParseWAV(f)
	if err != nil {
		return nil, fmt.Errorf("audio %s: %w", a.File, err)
	}
	return c, nil
}

// A voice says on one stream what an Audio asks for.
type voice struct {
	stream *media.Stream
	clip   *media.Clip
	mirror *mirror
}

func newVoice(e *media.Engine, s *media.Stream, a Audio) (v *voice, err error) {
	v = &voice{stream: s}
	if a.Echo {
		v.mirror, err = newMirror(e, s)
		return v, err
	}
	v.clip, err = a.clip()
	return v, err
}

// start begins to speak in that codec.
func (v *voice) start(codec media.Codec) {
	if v.mirror != nil {
		v.mirror.start(codec)
		return
	}
	v.stream.Play(v.clip, true)
}

// stop falls silent; start may follow.
func (v *voice) stop() {
	if v.mirror != nil {
		v.stream.Part()
		return
	}
	v.stream.Stop()
}

func (v *voice) close() {
	if v != nil && v.mirror != nil {
		v.mirror.close()
	}
}

// A mirror sends back to a stream what it hears: it is joined to a second stream whose far side is a socket that
// returns every packet.
type mirror struct {
	near, far *media.Stream
	socket    *net.UDPConn
	returning sync.WaitGroup
}

func newMirror(e *media.Engine, near *media.Stream) (*mirror, error) {
	far, err := e.Lease(near)
	if err != nil {
		return nil, fmt.Errorf("echo: %w", err)
	}
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(far.Local().Addr(), 0)))
	if err != nil {
		far.Close()
		return nil, fmt.Errorf("echo: %w", err)
	}
	m := &mirror{near: near, far: far, socket: socket}
	m.returning.Go(m.bounce)
	return m, nil
}

// bounce returns each packet to where it came from, until the socket is closed.
func (m *mirror) bounce() {
	buf := make([]byte, 2048)
	for {
		n, from, err := m.socket.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = m.socket.WriteToUDPAddrPort(buf[:n], from)
		}
	}
}

func (m *mirror) start(codec media.Codec) {
	at := m.socket.LocalAddr().(*net.UDPAddr).AddrPort()
	m.far.Set(media.Params{Remote: at, RemoteRTCP: at, Codec: codec, Send: true, Receive: true})
	media.Join(m.near, m.far)
}

func (m *mirror) close() {
	m.far.Close()
	m.socket.Close()
	m.returning.Wait()
}
