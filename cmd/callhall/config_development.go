package main

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"callhall/call"
)

// development is the configuration of a start without a file: this machine only, one demo city, no password that
// anybody could know beforehand.
func development() Config {
	cfg := defaults()
	cfg.Development = true
	cfg.DataDir = "callhall-data"
	cfg.SIP.Digest = DigestMD5 // any phone at all can be tried: some that know MD5 alone stumble over a second offer
	city := CityConfig{
		ID:   "demo",
		Name: "Demo City 311",
		Trunks: []TrunkConfig{{
			ID: "loopback", Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, TrustIdentity: true, Progress: true,
		}},
		Queues: []QueueConfig{{ID: "general"}},
		Agents: []AgentConfig{{ID: "demo-1", BuiltIn: true}, {ID: "demo-2"}, {ID: "1001"}},
	}
	city.setDefaults()
	city.Queues[0].setDefaults()
	city.Queues[0].WrapUp = 2 * time.Second // whoever tries it calls again at once
	for i := range city.Agents {
		city.Agents[i].setDefaults()
		city.Agents[i].Queues = []call.QueueID{"general"}
	}
	city.Numbers = []NumberConfig{
		{Number: "311", Queue: "general", Language: "en"},
		{Number: "3112", Queue: "general", Language: "es"},
	}
	cfg.Cities = []CityConfig{city}
	return cfg
}

// placeSecrets names the files of the development agents' passwords, now that the data directory is known.
func (c *Config) placeSecrets() {
	for i := range c.Cities {
		for j := range c.Cities[i].Agents {
			agent := &c.Cities[i].Agents[j]
			agent.PasswordFile = SecretFile(filepath.Join(string(c.DataDir), "agents", string(agent.ID)+".secret"))
		}
	}
}

// MakeSecrets writes a random password for each agent of a development configuration that has none yet. Files are
// for their owner only (0600).
func (c Config) MakeSecrets() error {
	if !c.Development {
		return nil
	}
	for _, city := range c.Cities {
		for _, agent := range city.Agents {
			if err := makeSecret(string(agent.PasswordFile)); err != nil {
				return fmt.Errorf("agent %s: make a password: %w", agent.ID, err)
			}
		}
	}
	return nil
}

// makeSecret writes 128 random bits to path, unless there is a file already.
func makeSecret(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, werr := f.WriteString(randomWord() + "\n")
	return errors.Join(werr, f.Close())
}

// randomWord is 128 random bits in small letters and digits.
func randomWord() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process rather than return weak bytes
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}
