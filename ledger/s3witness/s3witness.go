// Package s3witness leaves a ledger's checkpoints in a bucket, best one of another owner, with a key that may put and get
// but not delete, and with object lock. Every checkpoint has a name of its own and none is ever written over.
package s3witness

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"callhall/ledger"
)

// maxCheckpoint bounds what is read back, in bytes.
const maxCheckpoint = 64 << 10

// Config says where the bucket is.
type Config struct {
	Endpoint      string // "https://s3.example.gov"; plain http is taken for a loopback address only
	Bucket        string // must exist
	Prefix        string // of every name; empty: "callhall-ledger"
	Region        string // empty: "us-east-1"
	AccessKeyFile string // path of a file with the access key id, for its owner only
	SecretKeyFile string // likewise, with the secret access key
	CA            string // path of a PEM file with the authorities to trust; empty: the system's
}

var _ ledger.Witness = (*Witness)(nil)

// Witness is a bucket. It implements ledger.Witness.
type Witness struct {
	client    *minio.Client
	transport *http.Transport
	bucket    string
	prefix    string
}

// New makes ready to speak to the bucket and does not speak to it yet: a ledger starts while its witness is away. The
// caller closes the witness.
func New(cfg Config) (*Witness, error) {
	w, err := dial(cfg)
	if err != nil {
		return nil, fmt.Errorf("S3 witness %s: %w", cfg.Endpoint, err)
	}
	return w, nil
}

// Close lets idle connections go.
func (w *Witness) Close() { w.transport.CloseIdleConnections() }

func dial(cfg Config) (*Witness, error) {
	u, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "https" && (u.Scheme != "http" || ip == nil || !ip.IsLoopback()) {
		return nil, errors.New("an endpoint is https://HOST; http is for this machine only")
	}
	access, err := readKey(cfg.AccessKeyFile)
	if err != nil {
		return nil, fmt.Errorf("access key: %w", err)
	}
	secret, err := readKey(cfg.SecretKeyFile)
	if err != nil {
		return nil, fmt.Errorf("secret key: %w", err)
	}
	transport, err := newTransport(u.Scheme == "https", cfg.CA)
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1" // said, so that the client need not ask the bucket
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "callhall-ledger"
	}
	client, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(access, secret, ""), Secure: u.Scheme == "https",
		Region: cfg.Region, Transport: transport, MaxRetries: 1}) // the ledger tries again by itself
	return &Witness{client: client, transport: transport, bucket: cfg.Bucket, prefix: cfg.Prefix}, err
}

// readKey reads a key that others may not read.
func readKey(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return "", fmt.Errorf("%s may be read by others (mode %04o): chmod 600 it", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}

func newTransport(secure bool, ca string) (*http.Transport, error) {
	t, err := minio.DefaultTransport(secure)
	if err != nil || !secure || ca == "" {
		return t, err
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("authorities: no certificate in %s", ca)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}

// Kind implements ledger.Witness.
func (w *Witness) Kind() string { return "s3" }

// folder is where a log's checkpoints are.
func (w *Witness) folder(log ledger.LogID) string { return path.Join(w.prefix, log.FileName()) + "/" }

// name sorts the newest checkpoint first, because buckets list in the order of names: how much there is room for above its
// size, then the size.
func (w *Witness) name(s ledger.Signed) string {
	return fmt.Sprintf("%s%019d-%d.checkpoint", w.folder(s.Log), math.MaxInt64-s.Size, s.Size)
}

// Drop implements ledger.Witness. A checkpoint that is there already is left as it is; another one over as many leaves is a
// fork.
func (w *Witness) Drop(ctx context.Context, s ledger.Signed) error {
	name := w.name(s)
	kept, err := w.get(ctx, name)
	if err != nil {
		return fmt.Errorf("S3 witness: look for %s: %w", name, err)
	}
	if kept == nil {
		o := minio.PutObjectOptions{ContentType: "text/plain; charset=utf-8", SendContentMd5: true}
		o.SetMatchETagExcept("*") // not over another that came in between
		if _, err := w.client.PutObject(ctx, w.bucket, name, bytes.NewReader(s.Text), int64(len(s.Text)), o); err != nil {
			return fmt.Errorf("S3 witness: put %s: %w", name, err)
		}
		return nil
	}
	if !bytes.Equal(kept, s.Text) {
		return fmt.Errorf("%w: the S3 witness has another checkpoint over %d leaves", ledger.ErrForked, s.Size)
	}
	return nil
}

// Last implements ledger.Witness.
func (w *Witness) Last(ctx context.Context, log ledger.LogID) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx) // lets the listing go after the first name
	defer cancel()
	for o := range w.client.ListObjectsIter(ctx, w.bucket, minio.ListObjectsOptions{Prefix: w.folder(log), MaxKeys: 1}) {
		if o.Err != nil {
			return nil, fmt.Errorf("S3 witness: list %s: %w", w.folder(log), o.Err)
		}
		text, err := w.get(ctx, o.Key)
		if err != nil {
			return nil, fmt.Errorf("S3 witness: get %s: %w", o.Key, err)
		}
		return text, nil
	}
	return nil, nil
}

// get reads an object, or nil where there is none.
func (w *Witness) get(ctx context.Context, name string) ([]byte, error) {
	body, _, _, err := minio.Core{Client: w.client}.GetObject(ctx, w.bucket, name, minio.GetObjectOptions{})
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(body, maxCheckpoint))
	return text, errors.Join(err, body.Close())
}
