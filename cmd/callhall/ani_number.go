package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"callhall/ani"
)

// typed is a number that a person gave this verb, or that the server answered. It goes into the body of one request, or
// to standard output; printed in any other way, it says nothing.
type typed struct{ text []byte }

// Format prints nothing of the number, under any verb.
func (typed) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, "redacted") }

// MarshalJSON writes the number into a request's body.
func (n typed) MarshalJSON() ([]byte, error) { return json.Marshal(string(n.text)) }

// UnmarshalJSON reads a number from an answer.
func (n *typed) UnmarshalJSON(value []byte) error {
	var text string
	if json.Unmarshal(value, &text) != nil {
		return errors.New("it is no text")
	}
	n.text = []byte(text)
	return nil
}

// numberFlags are how a verb gets a caller's number: never from the command line, which every user of the machine can
// read (ps) and the shell keeps.
type numberFlags struct {
	NumberFile SecretFile `placeholder:"FILE" help:"File with the number, for its owner only; - is standard input. Default: it is asked for, and not shown while it is typed. There is no flag for the number itself: other users of this machine can read command lines."`
}

// read gets the number from its file, from a person without echo, or from the first line of standard input.
func (f numberFlags) read(ctx context.Context, term *terminal) (typed, error) {
	text, err := f.text(ctx, term)
	if err != nil {
		return typed{}, fmt.Errorf("read the number: %w", err)
	}
	if _, err := ani.ParseNumber(text); err != nil {
		return typed{}, badUsage{errors.New("that is no whole telephone number; type it with its area code, such as +1 and ten digits")}
	}
	return typed{[]byte(text)}, nil
}

func (f numberFlags) text(ctx context.Context, term *terminal) (string, error) {
	if f.NumberFile != "" && f.NumberFile != "-" {
		if err := f.NumberFile.Check(); err != nil {
			return "", err
		}
		return f.NumberFile.Read()
	}
	if in, ok := term.In.(*os.File); ok && isTerminal(in) {
		return unseen(ctx, in, term.Err)
	}
	return firstLine(term.In)
}

// firstLine reads up to the first line end. A number is far shorter than what it reads at most.
func firstLine(in io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, 1<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimSpace(line), nil
}

// unseen asks a person for a line and does not show what they type. It returns when ctx ends, and leaves the terminal as
// it was.
func unseen(ctx context.Context, in *os.File, ask io.Writer) (string, error) {
	tty, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", in.Fd()), os.O_RDONLY, 0) // opened anew, it takes a deadline
	if err != nil {
		return "", err
	}
	defer tty.Close()
	restore, err := hush(in)
	if err != nil {
		return "", err
	}
	defer restore()
	defer context.AfterFunc(ctx, func() { _ = tty.SetReadDeadline(time.Unix(1, 0)) })() // one that it cannot have is told by the read
	fmt.Fprint(ask, "number (not shown): ")
	line, err := firstLine(tty)
	fmt.Fprintln(ask)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	return line, err
}

// hush turns a terminal's echo off until restore is called.
func hush(in *os.File) (restore func(), err error) {
	was, err := unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("turn the echo off: %w", err)
	}
	quiet := *was
	quiet.Lflag &^= unix.ECHO
	quiet.Lflag |= unix.ICANON | unix.ISIG
	if err := unix.IoctlSetTermios(int(in.Fd()), unix.TCSETS, &quiet); err != nil {
		return nil, fmt.Errorf("turn the echo off: %w", err)
	}
	return func() { _ = unix.IoctlSetTermios(int(in.Fd()), unix.TCSETS, was) }, nil // a terminal that is gone shows nothing
}

// shown is an answer that has a number, or what of it may be seen.
type shown struct {
	Number     typed     `json:"number"`
	Mask       string    `json:"mask"`
	Token      string    `json:"token"`
	Row        string    `json:"row"`
	Statement  string    `json:"statement"`
	Unverified bool      `json:"unverified"`
	Until      time.Time `json:"until"`
	CloseAfter int       `json:"close_after_ms"`
}

// writeShown prints what may be seen alone on standard output, and what goes with it on standard error. What may be seen
// only briefly is taken off a terminal again.
func writeShown(ctx context.Context, term *terminal, raw json.RawMessage) error {
	if term.JSON {
		return writeRaw(term.Out, raw)
	}
	var s shown
	if err := json.Unmarshal(raw, &s); err != nil {
		return errors.New("read the answer: it is not what a reveal answers")
	}
	fmt.Fprintf(term.Err, "row %s. For this one use: it must not be kept, used again or passed on.\n", plain(s.Row))
	if s.Statement != "" {
		fmt.Fprintln(term.Err, plain(s.Statement))
	}
	if !s.Until.IsZero() {
		fmt.Fprintf(term.Err, "not to be used after %s\n", local(s.Until))
	}
	if s.Unverified {
		fmt.Fprintln(term.Err, "unverified: no carrier vouches for it, and it proves nothing of who called")
	}
	seen := plain(cmp.Or(string(s.Number.text), s.Mask, s.Token))
	if s.CloseAfter > 0 && isTerminal(term.Out) {
		return writeBriefly(ctx, term.Out, seen, time.Duration(s.CloseAfter)*time.Millisecond)
	}
	_, err := fmt.Fprintln(term.Out, seen)
	return err
}

// writeBriefly shows a text on a terminal for a while (O11).
func writeBriefly(ctx context.Context, out io.Writer, text string, while time.Duration) error {
	if _, err := fmt.Fprint(out, text); err != nil {
		return err
	}
	select {
	case <-time.After(while):
	case <-ctx.Done():
	}
	_, err := fmt.Fprint(out, "\r\x1b[2K")
	return err
}
