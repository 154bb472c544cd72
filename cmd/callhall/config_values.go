package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones are known in a container without files, too

	"callhall/ani"
	"callhall/call"
)

// Path is a file or directory. Read from a file, a relative one is made to start at that file's directory.
type Path string

// SecretFile is the path of a file that holds one secret and that strangers on this machine cannot read.
type SecretFile string

// maxSecretSize is far above any password or private key.
const maxSecretSize = 64 << 10

// Check says whether the secret is there, with a reason an operator can act on.
func (f SecretFile) Check() error {
	info, err := os.Stat(string(f))
	if err != nil {
		return fmt.Errorf("file %q: %w", string(f), reason(err))
	}
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%q is not a regular file", string(f))
	case info.Size() == 0:
		return fmt.Errorf("file %q is empty", string(f))
	case info.Size() > maxSecretSize:
		return fmt.Errorf("file %q is %d bytes long; a secret has at most %d", string(f), info.Size(), maxSecretSize)
	case info.Mode().Perm()&0o007 != 0:
		return fmt.Errorf("file %q is open to every user of this machine (mode %04o); run: chmod 600 %s",
			string(f), info.Mode().Perm(), f)
	}
	_, err = f.Read()
	return err
}

// Read returns the secret without the line ends and blanks around it.
func (f SecretFile) Read() (string, error) {
	text, err := os.ReadFile(string(f))
	if err != nil {
		return "", fmt.Errorf("file %q: %w", string(f), reason(err))
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return "", fmt.Errorf("file %q holds nothing but blanks", string(f))
	}
	return secret, nil
}

// Load reads the certificate and key. It returns nil when none is set.
func (t TLSConfig) Load() (*tls.Config, error) {
	if t.CertFile == "" && t.KeyFile == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(string(t.CertFile), string(t.KeyFile))
	if err != nil {
		return nil, fmt.Errorf("certificate %q: %w", t.CertFile, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// rest is Deaf in the words of media, to which zero means its own default.
func (r RTPConfig) rest() time.Duration {
	if r.Deaf == 0 {
		return -1
	}
	return r.Deaf
}

// SIPListener is one address to take SIP on, "udp://127.0.0.1:5060" in the file.
type SIPListener struct {
	Transport string // "udp" or "tcp"
	Addr      netip.AddrPort
}

// String is the form of the file.
func (l SIPListener) String() string { return l.Transport + "://" + l.Addr.String() }

// UnmarshalText reads the form of the file.
func (l *SIPListener) UnmarshalText(text []byte) error {
	transport, addr, ok := strings.Cut(string(text), "://")
	if !ok {
		return fmt.Errorf("%q has no transport; write udp://%s or tcp://%s", text, text, text)
	}
	switch transport {
	case "udp", "tcp":
	case "tls", "ws", "wss":
		return fmt.Errorf("%s is not supported in this version; udp and tcp are", transport)
	default:
		return fmt.Errorf("%q is no transport; udp and tcp are", transport)
	}
	parsed, err := parseAddrPort(addr)
	if err != nil {
		return err
	}
	*l = SIPListener{Transport: transport, Addr: parsed}
	return nil
}

// TimeZone is the name of a time zone in the IANA database.
type TimeZone string

// UnmarshalText reads the name, if there is such a zone.
func (z *TimeZone) UnmarshalText(text []byte) error {
	name := string(text)
	if _, err := time.LoadLocation(name); err != nil || name == "" || name == "Local" {
		return fmt.Errorf("%q is no time zone; write one such as America/New_York", name)
	}
	*z = TimeZone(name)
	return nil
}

// Location is the zone; UTC for the zero TimeZone.
func (z TimeZone) Location() *time.Location {
	zone, err := time.LoadLocation(string(z))
	if err != nil { // it was read by UnmarshalText or is our default: the zone is built in
		return time.UTC
	}
	return zone
}

// PortRange is a range of UDP ports, both ends included: RTP on the even ones, RTCP on the odd one after each.
type PortRange struct{ Min, Max int }

// String is the form of the file, "16384-17383".
func (r PortRange) String() string { return fmt.Sprintf("%d-%d", r.Min, r.Max) }

// Holds tells whether port lies in the range.
func (r PortRange) Holds(port int) bool { return r.Min <= port && port <= r.Max }

// UnmarshalText reads the form of the file.
func (r *PortRange) UnmarshalText(text []byte) error {
	low, high, ok := strings.Cut(string(text), "-")
	low, high = strings.TrimSpace(low), strings.TrimSpace(high)
	first, err1 := strconv.ParseUint(low, 10, 16)
	last, err2 := strconv.ParseUint(high, 10, 16)
	switch {
	case !ok || err1 != nil || err2 != nil:
		return fmt.Errorf("%q is not a range of ports; write it as 16384-17383", text)
	case first < 1024:
		return fmt.Errorf("ports below 1024 belong to the system; %s begins at %d", text, first)
	case first >= last:
		return fmt.Errorf("the first port of a range comes before the last; %s does not", text)
	case first%2 != 0:
		return fmt.Errorf("a range begins at an even port, for RTP; %s begins at %d", text, first)
	case last%2 == 0:
		return fmt.Errorf("a range ends at an odd port, for RTCP; %s ends at %d", text, last)
	}
	*r = PortRange{Min: int(first), Max: int(last)}
	return nil
}

// A choice is a setting with a few values.
type choice interface{ choices() []string }

// The settings with a few values.
type (
	LogLevel      string
	LogFormat     string
	SignIn        string
	ANIProfile    string
	RecordingMode string
	StoreKind     string
	DigestOffer   string
	PartnerKind   string
)

// The values that code asks for by name.
const (
	SignInRegistration SignIn        = "registration" // a phone that registers makes its agent available
	SignInManual       SignIn        = "manual"       // the agent is signed in over the API
	RecordAlways       RecordingMode = "always"
	RecordOff          RecordingMode = "off"
	StoreDir           StoreKind     = "dir"
	StoreS3            StoreKind     = "s3"
	DigestBoth         DigestOffer   = "sha-256+md5"
	DigestMD5          DigestOffer   = "md5"
	DigestSHA256       DigestOffer   = "sha-256"
)

func (LogLevel) choices() []string      { return []string{"debug", "info", "warn", "error"} }
func (LogFormat) choices() []string     { return []string{"auto", "text", "json"} }
func (SignIn) choices() []string        { return []string{"registration", "manual"} }
func (ANIProfile) choices() []string    { return asWords(ani.Profiles()) }
func (RecordingMode) choices() []string { return []string{"always", "off"} }
func (StoreKind) choices() []string     { return []string{"dir", "s3"} }
func (DigestOffer) choices() []string   { return []string{"sha-256+md5", "sha-256", "md5"} }

func (PartnerKind) choices() []string {
	return asWords([]call.PartnerKind{call.PartnerCity, call.PartnerPrivate, call.PartnerPSAP, call.PartnerInterpreter})
}

// asWords is values as plain strings.
func asWords[T ~string](values []T) []string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v)
	}
	return texts
}

// algorithms names what is offered, best first.
func (o DigestOffer) algorithms() []string { return strings.Split(strings.ToUpper(string(o)), "+") }

// parseDuration reads "30s", "1h30m" or "14d": Go's form with days of 24 hours before it.
func parseDuration(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is not a length of time; write it as 30s, 15m, 3h or 14d", text)
	days, rest, found := strings.Cut(text, "d")
	if !found {
		days, rest = "0", text
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, wrong
	}
	whole := time.Duration(n) * 24 * time.Hour
	if found && rest == "" {
		return whole, nil
	}
	part, err := time.ParseDuration(rest)
	if err != nil || part < 0 || rest == "0" || whole+part < whole {
		return 0, wrong
	}
	return whole + part, nil
}

// formatDuration writes d as an operator would: "14d", "4h", "30s".
func formatDuration(d time.Duration) string {
	day := 24 * time.Hour
	if d > 0 && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// parseAddrPort reads "127.0.0.1:8311" or "[::1]:8311".
func parseAddrPort(text string) (netip.AddrPort, error) {
	parsed, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is not an address and port; write it as 127.0.0.1:8311 or [::1]:8311", text)
	}
	return parsed, nil
}

// parseAddr reads an IP address.
func parseAddr(text string) (netip.Addr, error) {
	parsed, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%q is not an IP address; names are not looked up here", text)
	}
	return parsed, nil
}

// parsePrefix reads a range of addresses; a single address is a range of one.
func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	parsed, err := netip.ParsePrefix(text)
	if err != nil || parsed.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is not a range of addresses; write it as 198.51.100.0/24", text)
	}
	if parsed != parsed.Masked() {
		return netip.Prefix{}, fmt.Errorf("%s has bits set after its prefix; did you mean %s or %s/%d?",
			text, parsed.Masked(), parsed.Addr(), parsed.Addr().BitLen())
	}
	return parsed, nil
}

// resolve makes a relative path start at dir.
func resolve(dir, path string) (string, error) {
	if path == "" {
		return "", errors.New("is empty; give a path or leave the key out")
	}
	if filepath.IsAbs(path) || dir == "" {
		return filepath.Clean(path), nil
	}
	return filepath.Join(dir, path), nil
}
