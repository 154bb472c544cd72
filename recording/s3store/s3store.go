// Package s3store keeps recordings in a bucket of any store that speaks plain S3; nothing in it needs a vendor's
// extension. What it stores is sealed before it comes here. The bucket should have no versioning, no object lock and no
// replication; where versions are kept all the same, Erase removes every one.
package s3store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"callhall/recording"
)

// partSize is how much of a large object goes in one request, and how much memory an upload may take.
const partSize = 16 << 20

// retries is how often one request is tried; above that the uploader's own patience begins.
const retries = 3

// Config says where the bucket is.
type Config struct {
	Endpoint      string // "https://s3.example.gov"; plain http is taken for a loopback address, elsewhere with PlainHTTP
	Bucket        string
	Region        string // empty: "us-east-1"
	AccessKeyFile string // path of a file with the access key id, for its owner only
	SecretKeyFile string // likewise, with the secret access key
	CA            string // path of a PEM file with the authorities to trust; empty: the system's
	PlainHTTP     bool   // allow http to a host that is not this machine; the recordings are sealed, the names are not
	Create        bool   // make the bucket if there is none
}

var _ recording.Objects = (*Store)(nil)

// Store is a bucket. It implements recording.Objects.
type Store struct {
	client    *minio.Client
	transport *http.Transport
	bucket    string
	place     string
}

// Open connects and checks that the bucket is there. The caller closes the store.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s, err := dial(cfg)
	if err != nil {
		return nil, fmt.Errorf("S3 store %s: %w", cfg.Endpoint, err)
	}
	if err := s.ensure(ctx, cfg); err != nil {
		s.Close()
		return nil, fmt.Errorf("S3 store %s: bucket %s: %w", cfg.Endpoint, cfg.Bucket, err)
	}
	return s, nil
}

// Close lets idle connections go.
func (s *Store) Close() { s.transport.CloseIdleConnections() }

func dial(cfg Config) (*Store, error) {
	u, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	if err := checkScheme(u, cfg.PlainHTTP); err != nil {
		return nil, err
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
	client, err := minio.New(u.Host, &minio.Options{
		Creds:      credentials.NewStaticV4(access, secret, ""),
		Secure:     u.Scheme == "https",
		Region:     cfg.Region,
		Transport:  transport,
		MaxRetries: retries,
	})
	return &Store{client: client, transport: transport, bucket: cfg.Bucket, place: placeOf(u, cfg.Bucket)}, err
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

func checkScheme(u *url.URL, plain bool) error {
	if u.Host == "" || u.Path != "" && u.Path != "/" {
		return errors.New("an endpoint is a scheme and a host, such as https://s3.example.gov")
	}
	loopback := u.Hostname() == "localhost"
	if ip := net.ParseIP(u.Hostname()); ip != nil {
		loopback = ip.IsLoopback()
	}
	switch {
	case u.Scheme == "https", u.Scheme == "http" && (loopback || plain):
		return nil
	case u.Scheme == "http":
		return errors.New("http is for this machine only: use https, or allow plain http")
	}
	return fmt.Errorf("scheme %q is neither https nor http", u.Scheme)
}

func newTransport(secure bool, ca string) (*http.Transport, error) {
	t, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, err
	}
	t.ResponseHeaderTimeout = time.Minute
	if !secure || ca == "" {
		return t, nil
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

// ensure makes sure of the bucket.
func (s *Store) ensure(ctx context.Context, cfg Config) error {
	there, err := s.client.BucketExists(ctx, s.bucket)
	switch {
	case err != nil:
		return err
	case there:
		return nil
	case !cfg.Create:
		return errors.New("there is none")
	}
	return s.client.MakeBucket(ctx, s.bucket, minio.MakeBucketOptions{Region: cfg.Region})
}

// Kind implements recording.Objects.
func (s *Store) Kind() string { return "s3" }

// Place implements recording.Objects.
func (s *Store) Place() string { return s.place }

// placeOf names a bucket in one way, however its endpoint was written.
func placeOf(endpoint *url.URL, bucket string) string {
	host := strings.ToLower(endpoint.Host)
	host = strings.TrimSuffix(host, map[string]string{"https": ":443", "http": ":80"}[endpoint.Scheme])
	return "s3:" + endpoint.Scheme + "://" + host + "/" + bucket
}

// Put implements recording.Objects. Each request carries the MD5 of its bytes, which the store compares: MD5 because
// every store knows it, and against line noise only; the recording's own seal is what finds tampering.
func (s *Store) Put(ctx context.Context, name string, size int64, r io.Reader) error {
	whole := &exact{r: r, left: size}
	info, err := s.client.PutObject(ctx, s.bucket, name, whole, size, minio.PutObjectOptions{
		PartSize: partSize, SendContentMd5: true, ContentType: "application/octet-stream", CacheControl: "no-store"})
	if err == nil && (info.Size != size || whole.left != 0) {
		err = fmt.Errorf("%d bytes of %d were taken", info.Size, size)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return nil
}

// exact reads just so many bytes and fails where there are fewer: a client that were told of an early end might store
// what it has.
type exact struct {
	r    io.Reader
	left int64
}

func (e *exact) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		return n, fmt.Errorf("%d bytes short: %w", e.left, io.ErrUnexpectedEOF)
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// Get implements recording.Objects.
func (s *Store) Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if n <= 0 {
		return http.NoBody, nil
	}
	var o minio.GetObjectOptions
	if err := o.SetRange(off, off+n-1); err != nil {
		return nil, fmt.Errorf("get %s: %w", name, err)
	}
	body, _, _, err := minio.Core{Client: s.client}.GetObject(ctx, s.bucket, name, o)
	if minio.ToErrorResponse(err).Code == minio.InvalidRange {
		return http.NoBody, nil // begins past the end: a short object
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", name, absent(err))
	}
	return body, nil
}

// Stat implements recording.Objects.
func (s *Store) Stat(ctx context.Context, name string) (recording.Object, error) {
	info, err := s.client.StatObject(ctx, s.bucket, name, minio.StatObjectOptions{})
	if err != nil {
		return recording.Object{}, fmt.Errorf("stat %s: %w", name, absent(err))
	}
	return recording.Object{Name: name, Size: info.Size, Since: info.LastModified}, nil
}

// absent turns a store's word for a missing object into ErrNoObject.
func absent(err error) error {
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return recording.ErrNoObject
	}
	return err
}

// Erase implements recording.Objects.
func (s *Store) Erase(ctx context.Context, name string) (e recording.Erased, err error) {
	if e.Uploads, err = s.abort(ctx, name); err != nil {
		return e, fmt.Errorf("erase %s: unfinished uploads: %w", name, err)
	}
	for o := range s.versions(ctx, name) {
		if o.Err != nil {
			return e, fmt.Errorf("erase %s: list its versions: %w", name, o.Err)
		}
		if o.Key != name {
			continue
		}
		err := s.client.RemoveObject(ctx, s.bucket, name, minio.RemoveObjectOptions{VersionID: o.VersionID})
		if err != nil {
			return e, fmt.Errorf("erase %s: version %q: %w", name, o.VersionID, err)
		}
		if o.IsDeleteMarker {
			e.Markers++
		} else {
			e.Versions++
		}
	}
	return e, nil
}

// versions lists every version and marker under a prefix.
func (s *Store) versions(ctx context.Context, prefix string) iter.Seq[minio.ObjectInfo] {
	return s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true, WithVersions: true})
}

// abort ends the unfinished uploads of a name.
func (s *Store) abort(ctx context.Context, name string) (n int, err error) {
	ctx, cancel := context.WithCancel(ctx) // lets the listing go where we leave it early
	defer cancel()
	for u := range s.client.ListIncompleteUploads(ctx, s.bucket, name, true) {
		if u.Err != nil {
			return n, u.Err
		}
		if u.Key != name {
			continue
		}
		if err := (minio.Core{Client: s.client}).AbortMultipartUpload(ctx, s.bucket, name, u.UploadID); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// List implements recording.Objects.
func (s *Store) List(ctx context.Context) iter.Seq2[recording.Object, error] {
	return func(yield func(recording.Object, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for o := range s.versions(ctx, "") {
			if o.Err != nil {
				yield(recording.Object{}, fmt.Errorf("list recordings: %w", o.Err))
				return
			}
			if !yield(recording.Object{Name: o.Key, Size: o.Size, Since: o.LastModified}, nil) {
				return
			}
		}
		for u := range s.client.ListIncompleteUploads(ctx, s.bucket, "", true) {
			if u.Err != nil {
				yield(recording.Object{}, fmt.Errorf("list unfinished uploads: %w", u.Err))
				return
			}
			if !yield(recording.Object{Name: u.Key, Size: u.Size, Since: u.Initiated}, nil) {
				return
			}
		}
	}
}
