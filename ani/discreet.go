package ani

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what a sealed thing prints as.
const redacted = "redacted"

// discreet is embedded in what must not show itself: no way of printing, logging or encoding says more than "redacted",
// and nothing is read back. What stands in somebody's unexported field is printed without these methods: that is why
// what it hides is sealed besides.
type discreet struct{}

// Format prints nothing, under any verb.
func (discreet) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, redacted) }

// LogValue logs nothing.
func (discreet) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes nothing; JSON, XML and YAML use it.
func (discreet) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText refuses: what is sealed comes from headers, from the vault or from an Entered alone.
func (*discreet) UnmarshalText([]byte) error { return errSealed }

// GobEncode writes nothing.
func (discreet) GobEncode() ([]byte, error) { return []byte(redacted), nil }

// GobDecode refuses, as UnmarshalText.
func (*discreet) GobDecode([]byte) error { return errSealed }

var errSealed = errors.New("ani: what is sealed cannot be read from text")
