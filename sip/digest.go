package sip

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a password. Printed, logged or marshalled it is the word "secret".
type Secret string

// Format keeps a password out of every fmt verb.
func (Secret) Format(w fmt.State, _ rune) { io.WriteString(w, "secret") }

// LogValue keeps a password out of logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("secret") }

// MarshalText keeps a password out of JSON, YAML and the like.
func (Secret) MarshalText() ([]byte, error) { return []byte("secret"), nil }
