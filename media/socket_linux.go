package media

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A rawSocket is one bound port that epollCarriers may watch.
type rawSocket struct {
	fd      int
	carrier *epollCarrier // that watches it; nil: none
	number  int32         // among carrier.watched
}

// queueSize is what we ask for as a socket's receive buffer, in bytes. The kernel doubles it, and counts more than 512
// for each datagram, its own bookkeeping included: there is room for some 85 packets of G.711, more than a second's.
// Larger queues would hold sound too old to be of use, and let a stranger who floods a port take more memory.
const queueSize = 32 << 10

// maxQueued is more datagrams than a queue can hold.
const maxQueued = 2*queueSize/512 + 64

// bind opens a socket and leaves it deaf.
func (c *epollCarrier) bind(addr netip.AddrPort) (socket, error) {
	family := unix.AF_INET
	if addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	err = errors.Join(
		os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, queueSize)),
		os.NewSyscallError("bind", unix.Bind(fd, sockaddr(addr))))
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &rawSocket{fd: fd}, nil
}

func sockaddr(addr netip.AddrPort) unix.Sockaddr {
	if addr.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
}

// renew moves the socket to c, unless it is there, and drains it.
func (s *rawSocket) renew(c carrier) error {
	if to := c.(*epollCarrier); s.carrier != to {
		s.unwatch()
		if err := s.watch(to); err != nil {
			return err
		}
	}
	s.drain()
	return nil
}

// watch gives the socket to a carrier.
func (s *rawSocket) watch(c *epollCarrier) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.spare) == 0 {
		c.spare = append(c.spare, int32(len(c.watched)))
		c.watched = append(c.watched, watched{})
	}
	last := len(c.spare) - 1
	number := c.spare[last]
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: number}
	if err := unix.EpollCtl(c.fd, unix.EPOLL_CTL_ADD, s.fd, &event); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	c.spare = c.spare[:last]
	c.watched[number] = watched{fd: s.fd}
	s.carrier, s.number = c, number
	return nil
}

// unwatch undoes watch.
func (s *rawSocket) unwatch() {
	c := s.carrier
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = unix.EpollCtl(c.fd, unix.EPOLL_CTL_DEL, s.fd, nil) // it is there, as watch put it
	c.watched[s.number] = watched{fd: -1}
	c.spare = append(c.spare, s.number)
	s.carrier = nil
}

// drain reads until the socket is empty. While more comes as fast as it is read, it stops when all that had come
// before must be gone.
func (s *rawSocket) drain() {
	var scratch [1]byte
	var from unix.RawSockaddrInet6
	for range maxQueued {
		if _, ok := recvFrom(s.fd, scratch[:], &from); !ok {
			return
		}
	}
}

func (s *rawSocket) listen(r receiver) {
	s.carrier.mu.Lock()
	defer s.carrier.mu.Unlock()
	s.carrier.watched[s.number].to = r
}

func (s *rawSocket) deafen() { s.listen(nil) }

func (s *rawSocket) close() error { return os.NewSyscallError("close", unix.Close(s.fd)) }

// send sends one datagram, or fails at once.
func (s *rawSocket) send(b []byte, to netip.AddrPort) error {
	var name unix.RawSockaddrInet6
	size := rawSockaddr(&name, to)
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&name)), size)
	if errno != 0 {
		return os.NewSyscallError("sendto", errno)
	}
	return nil
}

// recvFrom reads one datagram without waiting; what does not fit in b is cut off. It reports false when there was none.
func recvFrom(fd int, b []byte, from *unix.RawSockaddrInet6) (n int, ok bool) {
	size := uint32(unsafe.Sizeof(*from))
	got, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		0, uintptr(unsafe.Pointer(from)), uintptr(unsafe.Pointer(&size)))
	return int(got), errno == 0
}

// epollPoll reads which sockets have something, without waiting.
func epollPoll(fd int, events []unix.EpollEvent) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(events))),
		uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// drainTimer makes a timer that went off quiet again.
func drainTimer(fd int) {
	var count [8]byte
	_, _, _ = unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&count)), unsafe.Sizeof(count))
}

// addrPort reads what the kernel wrote. The port is in network order, the first bytes of both kinds are the same.
func addrPort(a *unix.RawSockaddrInet6) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&a.Port))[:])
	if a.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), port)
}

// rawSockaddr writes an address for the kernel and returns its size.
func rawSockaddr(a *unix.RawSockaddrInet6, to netip.AddrPort) uintptr {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&a.Port))[:], to.Port())
	if to.Addr().Is4() {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		v4.Family, v4.Addr = unix.AF_INET, to.Addr().As4()
		return unix.SizeofSockaddrInet4
	}
	a.Family, a.Addr = unix.AF_INET6, to.Addr().As16()
	return unix.SizeofSockaddrInet6
}
