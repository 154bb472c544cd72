package main

import (
	"flag"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// floor is the least that relaying can cost on this machine in user space: one epoll loop that receives a packet on one
// socket and sends it from another, and does nothing else. It prints the ports it opened, two for each call, and runs
// until it is killed.
func floor(args []string) error {
	flags := flag.NewFlagSet("floor", flag.ContinueOnError)
	calls := flags.Int("calls", 400, "calls to relay")
	callers := flags.Int("callers", 0, "port that the callers hear at")
	agents := flags.Int("agents", 0, "port that the agents hear at")
	if err := flags.Parse(args); err != nil {
		return err
	}
	poll, err := unix.EpollCreate1(0)
	if err != nil {
		return fmt.Errorf("open epoll: %w", err)
	}
	out := map[int32]relayed{}
	for range *calls {
		a, aPort, err := openSocket(poll)
		if err != nil {
			return err
		}
		b, bPort, err := openSocket(poll)
		if err != nil {
			return err
		}
		out[int32(a)] = relayed{b, loopback(*agents)}
		out[int32(b)] = relayed{a, loopback(*callers)}
		fmt.Println(aPort, bPort)
	}
	fmt.Println("ready")
	os.Stdout.Close()
	return relayForever(poll, out)
}

// relayed says where a socket's packets go: out of which socket, to whom.
type relayed struct {
	fd int
	to *unix.SockaddrInet4
}

func loopback(port int) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
}

func openSocket(poll int) (fd, port int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("open socket: %w", err)
	}
	if err := unix.Bind(fd, loopback(0)); err != nil {
		return 0, 0, fmt.Errorf("bind socket: %w", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, 0, fmt.Errorf("read socket's port: %w", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return 0, 0, fmt.Errorf("watch socket: %w", err)
	}
	return fd, name.(*unix.SockaddrInet4).Port, nil
}

func relayForever(poll int, out map[int32]relayed) error {
	events := make([]unix.EpollEvent, 256)
	buf := make([]byte, 2048)
	for {
		n, err := unix.EpollWait(poll, events, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait: %w", err)
		}
		for _, ev := range events[:max(n, 0)] {
			r := out[ev.Fd]
			n, _, err := unix.Recvfrom(int(ev.Fd), buf, 0)
			if err == nil {
				unix.Sendto(r.fd, buf[:n], 0, r.to) // what the kernel will not take is lost, as on a network
			}
		}
	}
}
