package stir

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// members reads one JSON object. Names are compared as written, and none may stand twice: a reader that took the first
// and one that took the last would not agree on what was signed.
func members(raw []byte) (map[string]json.RawMessage, bool) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') || !utf8.Valid(raw) {
		return nil, false
	}
	m := map[string]json.RawMessage{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, false
		}
		name, _ := t.(string)
		if _, twice := m[name]; twice {
			return nil, false
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return nil, false
		}
		m[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, false
	}
	_, err := dec.Token()
	return m, err == io.EOF
}

// only tells whether an object has none but these members.
func only(m map[string]json.RawMessage, names ...string) bool {
	for name := range m {
		if !slices.Contains(names, name) {
			return false
		}
	}
	return true
}

// text reads a JSON string.
func text(raw json.RawMessage) (s string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return s, json.Unmarshal(raw, &s) == nil
}

// integer reads a whole number above zero, written without point or exponent.
func integer(raw json.RawMessage) (int64, bool) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	return n, err == nil && n > 0
}

// texts reads an array of 1 to 16 strings.
func texts(raw json.RawMessage) (list []string, ok bool) {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil || len(items) == 0 || len(items) > 16 {
		return nil, false
	}
	for _, item := range items {
		s, ok := text(item)
		if !ok {
			return nil, false
		}
		list = append(list, s)
	}
	return list, true
}

// unbase64 decodes base64url without padding (RFC 7515 §2). One value has one spelling: no line breaks, no bits left over.
func unbase64(s string) ([]byte, bool) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return b, err == nil
}
