package media

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A rawSocket is one bound port of an epollCarrier.
type rawSocket struct {
	carrier *epollCarrier
	fd      int
	number  int32    // among carrier.sockets while it listens, else 0
	to      receiver // set by listen
}

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
	if err := errors.Join(refuseAll(fd), os.NewSyscallError("bind", unix.Bind(fd, sockaddr(addr)))); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	s := &rawSocket{carrier: c, fd: fd}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bound[s] = struct{}{}
	return s, nil
}

func sockaddr(addr netip.AddrPort) unix.Sockaddr {
	if addr.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
}

// refuseAll makes the kernel drop whatever comes for a socket, so that a deaf port costs neither time nor memory.
func refuseAll(fd int) error {
	none := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K} // of each datagram, keep 0 bytes
	program := unix.SockFprog{Len: 1, Filter: &none}
	return os.NewSyscallError("attach filter", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program))
}

// listen may be called once in a socket's life.
func (s *rawSocket) listen(r receiver) error {
	c := s.carrier
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != nil {
		return os.NewSyscallError("detach filter", err)
	}
	if len(c.spare) == 0 {
		c.spare = append(c.spare, int32(len(c.sockets)))
		c.sockets = append(c.sockets, nil)
	}
	number := c.spare[len(c.spare)-1]
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: number}
	if err := unix.EpollCtl(c.fd, unix.EPOLL_CTL_ADD, s.fd, &event); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	c.spare = c.spare[:len(c.spare)-1]
	c.sockets[number] = s
	s.number, s.to = number, r
	return nil
}

// deafen is to be called once; what had come and was not read yet is drained.
func (s *rawSocket) deafen() {
	c := s.carrier
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.number == 0 {
		return
	}
	_ = refuseAll(s.fd)                                    // without it the queue fills up and is lost at close
	_ = unix.EpollCtl(c.fd, unix.EPOLL_CTL_DEL, s.fd, nil) // closing would do the same
	c.sockets[s.number], c.spare = nil, append(c.spare, s.number)
	s.number = 0
	var scratch [1]byte
	for {
		if _, _, err := unix.Recvfrom(s.fd, scratch[:], unix.MSG_DONTWAIT); err != nil {
			return
		}
	}
}

// close hands the descriptor to the carrier's goroutine, and wakes it.
func (s *rawSocket) close() error {
	s.deafen()
	c := s.carrier
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.bound, s)
	c.retired = append(c.retired, s.fd)
	if !c.closing {
		c.wake(0)
	}
	return nil
}

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
