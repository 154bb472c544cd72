// Package httpwitness leaves a ledger's checkpoints with a witness of another owner that speaks C2SP tlog-witness: the
// witness checks that each continues the one before it and signs it too (C2SP tlog-cosignature, Ed25519). The signature is
// kept beside the checkpoint, for whoever trusts the witness.
package httpwitness

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"callhall/ledger"
)

const (
	cosignature = 0x04     // the algorithm of an Ed25519 cosignature in keys (C2SP tlog-cosignature)
	maxAnswer   = 64 << 10 // bounds an answer, in bytes
)

// Config says who the witness is.
type Config struct {
	URL    string            // the submission prefix: "https://witness.example/callhall"; plain http is for a loopback address
	Key    string            // the witness's verifier key, NAME+HASH+BASE64
	Dir    string            // where the checkpoints that it signed are kept: CITY.cosigned
	Client http.RoundTripper // nil: http.DefaultTransport
}

var _ ledger.Witness = (*Witness)(nil)

// Witness is one witness. It implements ledger.Witness.
type Witness struct {
	url    string
	key    verifier
	dir    string
	client *http.Client
}

// New reads the configuration. Nobody is asked yet.
func New(cfg Config) (*Witness, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("HTTP witness %s: %w", cfg.URL, err)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "https" && (u.Scheme != "http" || ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("HTTP witness %s: its address begins with https://; http is for this machine only", cfg.URL)
	}
	key, err := parseKey(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("HTTP witness %s: key %q: %w", cfg.URL, cfg.Key, err)
	}
	client := &http.Client{Transport: cfg.Client, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Witness{url: strings.TrimSuffix(cfg.URL, "/") + "/add-checkpoint", key: key, dir: cfg.Dir, client: client}, nil
}

// verifier checks cosignatures. It implements note.Verifier.
type verifier struct {
	name   string
	hash   uint32
	public ed25519.PublicKey
}

func parseKey(key string) (verifier, error) {
	parts := strings.SplitN(key, "+", 3)
	if len(parts) != 3 {
		return verifier{}, errors.New("not NAME+HASH+BASE64")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != cosignature {
		return verifier{}, errors.New("not the key of Ed25519 cosignatures")
	}
	id := sha256.Sum256(append([]byte(parts[0]+"\n"), raw...))
	v := verifier{name: parts[0], hash: binary.BigEndian.Uint32(id[:4]), public: raw[1:]}
	if fmt.Sprintf("%08x", v.hash) != parts[1] {
		return verifier{}, errors.New("its hash is of another key")
	}
	return v, nil
}

// Name implements note.Verifier.
func (v verifier) Name() string { return v.name }

// KeyHash implements note.Verifier.
func (v verifier) KeyHash() uint32 { return v.hash }

// Verify implements note.Verifier: a time of eight bytes, then the signature over it and the checkpoint.
func (v verifier) Verify(checkpoint, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(signature)
	return ed25519.Verify(v.public, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, checkpoint), signature[8:])
}

// Kind implements ledger.Witness.
func (w *Witness) Kind() string { return "http" }

// Drop implements ledger.Witness. Where the witness is further or less far than we know, it says so and is asked once more.
func (w *Witness) Drop(ctx context.Context, s ledger.Signed) error {
	old, err := w.known(s.Log)
	if err != nil {
		return fmt.Errorf("HTTP witness %s: %w", w.key.name, err)
	}
	var at conflict
	err = w.add(ctx, s, min(old, s.Size))
	if errors.As(err, &at) && int64(at) <= s.Size && int64(at) != old { // an answer of its was lost
		err = w.add(ctx, s, int64(at))
	}
	if errors.As(err, &at) {
		err = fmt.Errorf("%w: it has signed %d leaves that this is no continuation of, %d", ledger.ErrForked, int64(at), s.Size)
	}
	if err != nil {
		return fmt.Errorf("HTTP witness %s: %w", w.key.name, err)
	}
	return nil
}

// conflict is the size that the witness has, where it is not the one that it was told.
type conflict int64

func (c conflict) Error() string { return fmt.Sprintf("it has signed %d leaves", int64(c)) }

// add sends one checkpoint as the continuation of old leaves. Errors: conflict, ledger.ErrForked.
func (w *Witness) add(ctx context.Context, s ledger.Signed, old int64) error {
	proof, err := s.Prove(ctx, old)
	if err != nil {
		return err
	}
	body := fmt.Appendf(nil, "old %d\n", old)
	for _, h := range proof {
		body = append(base64.StdEncoding.AppendEncode(body, h[:]), '\n')
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(append(append(body, '\n'), s.Text...)))
	if err != nil {
		return err
	}
	response, err := w.client.Do(request)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return err
	}
	switch response.StatusCode {
	case http.StatusOK:
		return w.keep(s, answer)
	case http.StatusConflict:
		size, err := strconv.ParseInt(strings.TrimSuffix(string(answer), "\n"), 10, 64)
		if err != nil || size < 0 {
			return fmt.Errorf("it answers 409 without a size")
		}
		return conflict(size)
	case http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: it does not follow from %d leaves that it has signed", ledger.ErrForked, old)
	}
	return fmt.Errorf("it answers %s", response.Status)
}

// keep checks the witness's signature and keeps the checkpoint with it, and no other.
func (w *Witness) keep(s ledger.Signed, answer []byte) error {
	signed, err := note.Open(append(bytes.Clone(s.Text), answer...), note.VerifierList(w.key))
	if err != nil {
		return fmt.Errorf("its signature: %w", err)
	}
	line := "— " + signed.Sigs[0].Name + " " + signed.Sigs[0].Base64 + "\n"
	return replaceFile(w.file(s.Log), append(bytes.Clone(s.Text), line...))
}

func (w *Witness) file(log ledger.LogID) string {
	return filepath.Join(w.dir, log.FileName()+".cosigned")
}

// Cosigned is the newest checkpoint of a log with the witness's signature as its last line, or nil.
func (w *Witness) Cosigned(log ledger.LogID) ([]byte, error) {
	text, err := os.ReadFile(w.file(log))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// Last implements ledger.Witness. It is what we kept: the witness itself is asked with the next Drop and refuses what does
// not follow.
func (w *Witness) Last(_ context.Context, log ledger.LogID) ([]byte, error) {
	text, err := w.Cosigned(log)
	if text == nil || err != nil {
		return nil, err
	}
	if _, err := note.Open(text, note.VerifierList(w.key)); err != nil {
		return nil, fmt.Errorf("HTTP witness %s: %s: %w", w.key.name, w.file(log), err)
	}
	end := bytes.LastIndexByte(text[:len(text)-1], '\n')
	return text[:end+1], nil
}

// known is how many leaves the witness has signed, as far as we know.
func (w *Witness) known(log ledger.LogID) (int64, error) {
	text, err := w.Cosigned(log)
	if text == nil || err != nil {
		return 0, err
	}
	lines := strings.SplitN(string(text), "\n", 3)
	if len(lines) < 3 {
		return 0, fmt.Errorf("%s is no checkpoint", w.file(log))
	}
	return strconv.ParseInt(lines[1], 10, 64)
}

// replaceFile puts a whole new file in the place of path, or leaves path as it was.
func replaceFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}
