package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"callhall/call"
	"callhall/recording"
)

// nextPortsForSound spreads the nodes of a run over the ports below those of the phones.
var nextPortsForSound atomic.Int32

// testConfig is a node on free ports with one city, whose files are in dir.
func testConfig(t *testing.T, dir string) Config {
	t.Helper()
	cfg := defaults()
	cfg.DataDir = Path(filepath.Join(dir, "data"))
	cfg.HTTP.Listen = netip.MustParseAddrPort("127.0.0.1:0")
	cfg.Admin.Listen = netip.MustParseAddrPort("127.0.0.1:0")
	cfg.SIP.Listen = []SIPListener{{Transport: "udp", Addr: netip.MustParseAddrPort("127.0.0.1:0")}}
	cfg.SIP.Silence = time.Minute
	first := 20000 + 400*int(nextPortsForSound.Add(1)-1)%10000
	cfg.RTP.Ports = PortRange{Min: first, Max: first + 399}
	cfg.RTP.Deaf = 50 * time.Millisecond
	cfg.Prompts = testPrompts(t, dir)
	cfg.DrainTimeout = 300 * time.Millisecond
	cfg.Cities = []CityConfig{testCity(t, dir, "aspen", "127.0.0.1/32")}
	return cfg
}

// testCity is a city with one queue, the number 311 and agents ID-1 to ID-6, over one trunk.
func testCity(t *testing.T, dir string, id call.CityID, allow string) CityConfig {
	t.Helper()
	city := CityConfig{ID: id, Name: "City of " + string(id)}
	city.setDefaults()
	city.Trunks = []TrunkConfig{{ID: call.TrunkID(id + "-trunk"), Allow: []netip.Prefix{netip.MustParsePrefix(allow)}, TrustIdentity: true, Progress: true}}
	city.addQueue("general", "311", func(*QueueConfig) {})
	for i := range 6 {
		name := fmt.Sprintf("%s-%d", id, i+1)
		secret := filepath.Join(dir, name+".secret")
		must(t, os.WriteFile(secret, []byte("secret of "+name), 0o600))
		city.Agents = append(city.Agents, AgentConfig{ID: call.AgentID(name), PasswordFile: SecretFile(secret),
			Queues: []call.QueueID{"general"}, SignIn: SignInRegistration})
	}
	return city
}

// addQueue adds a queue and the number that leads to it.
func (c *CityConfig) addQueue(id call.QueueID, number string, change func(*QueueConfig)) {
	q := QueueConfig{ID: id}
	q.setDefaults()
	q.Ring, q.WrapUp = 10*time.Second, 50*time.Millisecond
	change(&q)
	c.Queues = append(c.Queues, q)
	c.Numbers = append(c.Numbers, NumberConfig{Number: number, Queue: id, Language: "en"})
}

// testPrompts is a directory of short sounds, so that nobody waits: 200 ms each, but the notice
// 1 s in German and 8 s in French.
func testPrompts(t *testing.T, dir string) Path {
	t.Helper()
	root := filepath.Join(dir, "prompts")
	for name, length := range map[string]time.Duration{"en/notice": 200 * time.Millisecond, "en/wait": 200 * time.Millisecond,
		"en/resume": 200 * time.Millisecond, "de/notice": time.Second, "fr/notice": 8 * time.Second} {
		path := filepath.Join(root, name+".wav")
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, testWAV(1000, length), 0o600))
	}
	return Path(root)
}

// testWAV is a tone as a WAV file, 16 bits, mono, 8 kHz.
func testWAV(hertz float64, length time.Duration) []byte {
	samples := int(length * recording.Rate / time.Second)
	b := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(36+2*samples))
	b = append(b, "WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(2*samples))
	period := int(recording.Rate / hertz)
	for i := range samples {
		v := int16(-6000)
		if i%period < period/2 {
			v = 6000
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return b
}
