package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"callhall/call"
	"callhall/console"
	"callhall/recording"
	"callhall/recording/dirstore"
	"callhall/recording/s3store"
)

// lockDir makes the data directory if need be and takes its lock, which lasts until unlock or the process's end.
func lockDir(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o700); err != nil { // also one that was made by hand for all to see
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		f.Close()
		return nil, fmt.Errorf("%s is in use by another callhall serve", dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), f.Close())
	}
	return f.Close, nil
}

// recordsKeySize is that of AES-256, in bytes.
const recordsKeySize = 32

// keyFile reads a random key, making it where there is none. It refuses one that every user of the machine can open.
func keyFile(path string) ([]byte, error) {
	if err := SecretFile(path).Check(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := os.ReadFile(path)
	switch {
	case err == nil && len(key) == recordsKeySize:
		return key, nil
	case err == nil:
		return nil, fmt.Errorf("%s is %d bytes long, want %d", path, len(key), recordsKeySize)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	key = make([]byte, recordsKeySize)
	rand.Read(key)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return key, writeNew(path, key)
}

// writeNew writes a file that must not exist yet, for its owner only, and syncs it.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// openObjects opens where each city's finished recordings lie.
func (a *app) openObjects(ctx context.Context) (map[call.CityID]recording.Objects, error) {
	all := map[call.CityID]recording.Objects{}
	for _, city := range a.cfg.Cities {
		store := city.Recording.Store
		if store.Kind == StoreDir {
			dir, err := dirstore.Open(string(store.Dir))
			if err != nil {
				return nil, fmt.Errorf("city %s: %w", city.ID, err)
			}
			all[city.ID] = dir
			continue
		}
		bucket, err := s3store.Open(ctx, s3Config(store.S3))
		if err != nil {
			return nil, fmt.Errorf("city %s: %w", city.ID, err)
		}
		a.onClose(func() error { bucket.Close(); return nil })
		all[city.ID] = bucket
	}
	return all, nil
}

func s3Config(s S3Config) s3store.Config {
	scheme := "https://"
	if !s.TLS {
		scheme = "http://"
	}
	return s3store.Config{Endpoint: scheme + s.Endpoint, Bucket: s.Bucket, Region: s.Region, PlainHTTP: !s.TLS,
		AccessKeyFile: string(s.AccessKeyFile), SecretKeyFile: string(s.SecretKeyFile)}
}

// tokenLife is how long the tokens hold that a development server writes for this machine's user.
const tokenLife = 30 * 24 * time.Hour

// writeTokens gives whoever owns a development server's data directory a token of each role that its verbs show. On a
// configured server `callhall user add` makes them.
func (a *app) writeTokens(ctx context.Context) error {
	if !a.cfg.Development {
		return nil
	}
	for _, role := range []console.Role{console.RoleSupervisor, console.RolePrivacy} {
		if err := a.writeToken(ctx, a.path("tokens", string(role)), role); err != nil {
			return fmt.Errorf("token for %s: %w", role, err)
		}
	}
	return nil
}

// writeToken keeps a token that still holds and replaces one that does not.
func (a *app) writeToken(ctx context.Context, path string, role console.Role) error {
	if secret, err := SecretFile(path).Read(); err == nil {
		if _, err := a.tokens.Find(ctx, secret); err == nil {
			return nil
		}
	}
	secret, _, err := a.tokens.Issue(ctx, console.Token{City: a.cfg.Cities[0].ID, Name: "this-machine", Role: role,
		ExpiresAt: time.Now().Add(tokenLife)})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return writeNew(path, []byte(secret+"\n"))
}
