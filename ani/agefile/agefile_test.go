package agefile

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
)

const batch = "a header\na call of +1 212 555 0142\n"

func pair(t *testing.T) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func carrier(t *testing.T, key, dir string) *Carrier {
	t.Helper()
	c, err := New(key, dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOnlyTheCarrierOpensIt(t *testing.T) {
	mine, theirs := pair(t), pair(t)
	dir := filepath.Join(t.TempDir(), "carrier-a")
	c := carrier(t, mine.Recipient().String(), dir)
	if err := c.Deliver(t.Context(), "bat_a.jsonl.age", []byte(batch)); err != nil {
		t.Fatal(err)
	}
	sealed, err := os.ReadFile(filepath.Join(dir, "bat_a.jsonl.age"))
	if err != nil || bytes.Contains(sealed, []byte("0142")) || bytes.Contains(sealed, []byte("header")) {
		t.Fatalf("the file is not sealed: %v", err)
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), mine)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(r); err != nil || string(plain) != batch {
		t.Errorf("opened %q, %v", plain, err)
	}
	if _, err := age.Decrypt(bytes.NewReader(sealed), theirs); err == nil {
		t.Error("another key opens it")
	}
	if other := carrier(t, theirs.Recipient().String(), dir); other.Key() == c.Key() || len(c.Key()) != 64 {
		t.Errorf("keys %s and %s", c.Key(), other.Key())
	}
}

func TestFilesAreForThisUserAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "carrier-a")
	c := carrier(t, pair(t).Recipient().String(), dir)
	if err := c.Deliver(t.Context(), "b", []byte(batch)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{dir: os.ModeDir | 0o700, filepath.Join(dir, "b"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", filepath.Base(path), info.Mode(), err)
		}
	}
}

// A crash leaves a part, which the next try writes over; a file that is there stays as it is.
func TestDeliverAgain(t *testing.T) {
	dir := t.TempDir()
	mine := pair(t)
	c := carrier(t, mine.Recipient().String(), dir)
	part := filepath.Join(dir, ".b.part")
	if err := os.WriteFile(part, bytes.Repeat([]byte("half a batch"), 1000), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := c.Deliver(t.Context(), "b", []byte(batch)); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(bytes.NewReader(first), mine)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(r); err != nil || string(plain) != batch {
		t.Errorf("what was written over a part opens as %q, %v", plain, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "b")); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := os.Stat(part); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the part is there still: %v", err)
	}
	if err := c.Deliver(t.Context(), "b", []byte(batch)); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(filepath.Join(dir, "b")); err != nil || !bytes.Equal(again, first) {
		t.Errorf("delivered again, it is another file: %v", err)
	}
}

func TestDeliverFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := carrier(t, pair(t).Recipient().String(), dir).Deliver(t.Context(), "b", []byte(batch)); err == nil {
		t.Error("a file serves as a directory")
	}
	c := carrier(t, pair(t).Recipient().String(), filepath.Join(t.TempDir(), "carrier"))
	for _, name := range []string{"", "..", "../b", ".b", "a/b"} {
		if err := c.Deliver(t.Context(), name, []byte(batch)); err == nil || strings.Contains(err.Error(), "0142") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	mine := pair(t)
	secret, public := mine.String(), mine.Recipient().String()
	for text, want := range map[string]error{
		secret: ErrIdentity, strings.ToLower(secret): ErrIdentity, " " + secret: ErrIdentity, "# public key: " + public + "\n" + secret: ErrIdentity,
		"": ErrRecipient, public[:len(public)-1]: ErrRecipient, public + "x": ErrRecipient, "ssh-ed25519 AAAA": ErrRecipient, "age1": ErrRecipient,
		public: nil,
	} {
		err := Check(text)
		if !errors.Is(err, want) {
			t.Errorf("a key of %d characters: %v, want %v", len(text), err, want)
		}
		if err != nil && len(text) > 20 && strings.Contains(err.Error(), text[len(text)-20:]) {
			t.Error("the error quotes the key")
		}
	}
}
