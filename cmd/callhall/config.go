package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"callhall/ani"
	"callhall/call"
)

// Config is everything an operator can set. The file has the same shape: one key per field, named in the yaml tag,
// unknown keys refused. Relative paths in a file start at the file's own directory.
type Config struct {
	DataDir      Path          `yaml:"data_dir"` // everything that must survive a restart
	Node         string        `yaml:"node"`     // this node's name in records, unique among a city's nodes
	HTTP         HTTPConfig    `yaml:"http"`
	Admin        AdminConfig   `yaml:"admin"`
	SIP          SIPConfig     `yaml:"sip"`
	RTP          RTPConfig     `yaml:"rtp"`
	Prompts      Path          `yaml:"prompts"` // directory of sounds that stand above the built-in ones; may be empty
	STIR         STIRConfig    `yaml:"stir"`
	Ledger       LedgerConfig  `yaml:"ledger"`
	Log          LogConfig     `yaml:"log"`
	DrainTimeout time.Duration `yaml:"drain_timeout"` // how long SIGTERM waits for calls to end
	Cities       []CityConfig  `yaml:"cities"`

	// Development is set when there was no file: loopback only, secrets made at start (MakeSecrets).
	Development bool `yaml:"-"`

	file string // where it was read from; empty in development
}

// origin is the file that the configuration was read from, as it was named.
func (c Config) origin() string { return c.file }

// HTTPConfig is the listener of the API.
type HTTPConfig struct {
	Listen      netip.AddrPort `yaml:"listen"`
	BehindProxy bool           `yaml:"behind_proxy"` // a proxy in front of a non-loopback listener does TLS
	TLS         TLSConfig      `yaml:"tls"`
}

// TLSConfig is a certificate and its key, both PEM. Both empty is no TLS.
type TLSConfig struct {
	CertFile Path       `yaml:"cert_file"` // the chain, leaf first
	KeyFile  SecretFile `yaml:"key_file"`
}

// AdminConfig is the listener of /metrics, /livez and /readyz. It asks for no token.
type AdminConfig struct {
	Listen  netip.AddrPort `yaml:"listen"`
	Exposed bool           `yaml:"exposed"` // the operator knows that others than this machine reach it
}

// SIPConfig is the SIP edge.
type SIPConfig struct {
	Listen    []SIPListener `yaml:"listen"`
	Advertise netip.Addr    `yaml:"advertise"` // in Via, Contact and SDP; invalid (not set) means the listener's own
	Realm     string        `yaml:"realm"`     // of digest authentication (RFC 8760)
	Digest    DigestOffer   `yaml:"digest"`    // what phones are offered to prove their password by
	Silence   time.Duration `yaml:"silence"`   // no RTP for so long ends a call
}

// RTPConfig is where sound is received.
type RTPConfig struct {
	Listen netip.Addr    `yaml:"listen"`
	Ports  PortRange     `yaml:"ports"`
	Deaf   time.Duration `yaml:"deaf"` // how long a port that was used rests before its next call
}

// LogConfig says what is logged and how.
type LogConfig struct {
	Level  LogLevel  `yaml:"level"`
	Format LogFormat `yaml:"format"`
}

// CityConfig is one city: its carriers, numbers, queues and agents.
type CityConfig struct {
	ID       call.CityID    `yaml:"id"`
	Name     string         `yaml:"name"`
	TimeZone TimeZone       `yaml:"time_zone"` // what "today" is there: "America/New_York"
	Trunks   []TrunkConfig  `yaml:"trunks"`
	Numbers  []NumberConfig `yaml:"numbers"`
	Queues   []QueueConfig  `yaml:"queues"`
	Agents   []AgentConfig  `yaml:"agents"`
	MaxCall  time.Duration  `yaml:"max_call"` // a call that lasts so long is ended, so that none stands for ever
	// CallerID is the city's number that those see whom it calls, and CallbackTrunk the way by which it calls back. Both
	// empty: it calls nobody back.
	CallerID      string          `yaml:"caller_id"`
	CallbackTrunk call.TrunkID    `yaml:"callback_trunk"`
	Partners      []PartnerConfig `yaml:"partners"`
	ANI           ANIConfig       `yaml:"ani"`
	Billing       BillingConfig   `yaml:"billing"`
	Recording     RecordingConfig `yaml:"recording"`
}

// TrunkConfig is a carrier, known by where its requests come from. Its id is unique among all cities.
type TrunkConfig struct {
	ID            call.TrunkID   `yaml:"id"`
	Allow         []netip.Prefix `yaml:"allow"`          // source addresses; of two ranges the longer prefix wins
	TrustIdentity bool           `yaml:"trust_identity"` // believe P-Asserted-Identity from here (RFC 3325)
	// What else is believed from here, with TrustIdentity only.
	TrustRemotePartyID bool `yaml:"trust_remote_party_id"`
	TrustChargeInfo    bool `yaml:"trust_charge_info"` // RFC 8496
	TrustRetarget      bool `yaml:"trust_retarget"`    // Diversion and History-Info (RFC 5806, RFC 7044)

	Proxy       SIPListener `yaml:"proxy"`        // where it takes the calls that we send; none: it takes none
	TrustOut    bool        `yaml:"trust_out"`    // the proxy keeps to itself what a caller withholds (RFC 3325 §2.3)
	Secured     bool        `yaml:"secured"`      // the operator's word that the way to the proxy is encrypted or private
	Progress    bool        `yaml:"progress"`     // tell test callers what happens (RFC 6086)
	NATLearning bool        `yaml:"nat_learning"` // learn the RTP source once, from the signalling address
}

// NumberConfig is a number of the city that people dial.
type NumberConfig struct {
	Number   string         `yaml:"number"`   // "311" or in E.164 with "+"
	Trunks   []call.TrunkID `yaml:"trunks"`   // where it may be dialled; none given means all of the city's
	Queue    call.QueueID   `yaml:"queue"`    // where its calls wait
	Language string         `yaml:"language"` // BCP 47, of prompts
}

// QueueConfig is a line of waiting callers.
type QueueConfig struct {
	ID        call.QueueID  `yaml:"id"`
	MaxLength int           `yaml:"max_length"` // callers waiting; 0 is no limit
	MaxWait   time.Duration `yaml:"max_wait"`
	Ring      time.Duration `yaml:"ring"`    // how long one agent's phone rings
	WrapUp    time.Duration `yaml:"wrap_up"` // an agent's time after a call; 0 is none
}

// AgentConfig is a person with a phone. The id is the phone's user name, unique among all cities.
type AgentConfig struct {
	ID           call.AgentID   `yaml:"id"`
	PasswordFile SecretFile     `yaml:"password_file"`
	Queues       []call.QueueID `yaml:"queues"`
	SignIn       SignIn         `yaml:"sign_in"`

	// BuiltIn agents answer by themselves inside this process. Only development has one.
	BuiltIn bool `yaml:"-"`
}

// RecordingConfig says whether calls are recorded and where recordings lie. They are erased 14 days after their last sound;
// that is no setting.
type RecordingConfig struct {
	Mode   RecordingMode `yaml:"mode"`
	Store  StoreConfig   `yaml:"store"`
	Notice string        `yaml:"notice"` // name of the prompt that says "this call is recorded"
}

// StoreConfig is where finished recordings lie.
type StoreConfig struct {
	Kind StoreKind `yaml:"kind"`
	Dir  Path      `yaml:"dir"` // empty means DATA_DIR/rec/CITY
	S3   S3Config  `yaml:"s3"`
}

// S3Config is a bucket.
type S3Config struct {
	Endpoint      string     `yaml:"endpoint"` // HOST or HOST:PORT
	Bucket        string     `yaml:"bucket"`
	Region        string     `yaml:"region"`
	TLS           bool       `yaml:"tls"`
	AccessKeyFile SecretFile `yaml:"access_key_file"`
	SecretKeyFile SecretFile `yaml:"secret_key_file"`
}

// keepFor is how long recordings and callers' numbers are kept at the longest.
const keepFor = 14 * 24 * time.Hour

// maxConfigSize bounds the file: a hundred cities with a hundred agents each take a tenth of it.
const maxConfigSize = 8 << 20

// A Setting is one value given outside the file. The last one for a key wins.
type Setting struct {
	Key    string // as in the file: "http.listen"
	Value  string // lists are separated by commas
	Origin string // where the operator wrote it: "--http.listen", "CALLHALL_HTTP_LISTEN"
}

// Load reads the configuration in path, or the development configuration when path is empty; the CALLHALL_ variables
// in env ("NAME=value") stand above the file, and flags above both. It reports every fault it finds, in the order of
// the file; with any fault the Config must not be used.
func Load(path string, env []string, flags ...Setting) (Config, []Fault) {
	cfg := development()
	d := newDecoder(path)
	if path != "" {
		cfg = defaults()
		cfg.file = path
		d.readFile(path, &cfg)
	}
	d.apply(&cfg, d.fromEnvironment(env))
	d.apply(&cfg, flags)
	if cfg.Development {
		cfg.placeSecrets()
	}
	cfg.placeStores()
	cfg.placeBatches()
	check(d, cfg)
	return cfg, d.sorted()
}

// readFile decodes the file at path over cfg.
func (d *decoder) readFile(path string, cfg *Config) {
	info, err := os.Stat(path)
	if err != nil {
		d.fault("", "cannot be read: %v", reason(err))
		return
	}
	if info.Size() > maxConfigSize {
		d.fault("", "is %d bytes long; a configuration has at most %d", info.Size(), maxConfigSize)
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		d.fault("", "cannot be read: %v", reason(err))
		return
	}
	d.decodeText(text, cfg)
}

// defaults is the configuration of an empty file.
func defaults() Config {
	return Config{
		DataDir: "callhall-data",
		Node:    "callhall-1",
		HTTP:    HTTPConfig{Listen: netip.MustParseAddrPort("127.0.0.1:8311")},
		Admin:   AdminConfig{Listen: netip.MustParseAddrPort("127.0.0.1:9311")},
		SIP: SIPConfig{
			Listen: []SIPListener{
				{Transport: "udp", Addr: netip.MustParseAddrPort("127.0.0.1:5060")},
				{Transport: "tcp", Addr: netip.MustParseAddrPort("127.0.0.1:5060")},
			},
			Realm:   "callhall",
			Digest:  DigestBoth,
			Silence: 30 * time.Second,
		},
		RTP: RTPConfig{
			Listen: netip.MustParseAddr("127.0.0.1"),
			Ports:  PortRange{Min: 16384, Max: 17383},
			Deaf:   30 * time.Second,
		},
		STIR:         STIRConfig{MaxAge: time.Minute, Wait: time.Second},
		Log:          LogConfig{Level: "info", Format: "auto"},
		DrainTimeout: 3 * time.Hour,
	}
}

// setDefaults gives a city what its entry leaves out.
func (c *CityConfig) setDefaults() {
	c.TimeZone = "UTC"
	c.MaxCall = 4 * time.Hour
	c.ANI = ANIConfig{Retention: keepFor, Caps: CapsConfig{AgentReveals: ani.DefaultCaps.PerActor, CityReveals: ani.DefaultCaps.PerCity}}
	c.Billing = BillingConfig{Every: ani.BillEvery, Calls: ani.MaxBatch}
	c.Recording = RecordingConfig{
		Mode:   RecordAlways,
		Store:  StoreConfig{Kind: StoreDir, S3: s3Defaults()},
		Notice: "notice",
	}
}

// s3Defaults is a bucket's settings before its entry is read.
func s3Defaults() S3Config { return S3Config{Region: "us-east-1", TLS: true} }

// setDefaults gives a number what its entry leaves out.
func (n *NumberConfig) setDefaults() { n.Language = "en" }

// setDefaults gives a queue what its entry leaves out.
func (q *QueueConfig) setDefaults() {
	q.MaxWait = 30 * time.Minute
	q.Ring = 15 * time.Second
	q.WrapUp = 30 * time.Second
}

// setDefaults gives an agent what their entry leaves out.
func (a *AgentConfig) setDefaults() { a.SignIn = SignInRegistration }

// placeStores names the directory of each city whose recordings lie on disk and whose entry names none.
func (c *Config) placeStores() {
	for i := range c.Cities {
		store := &c.Cities[i].Recording.Store
		if store.Kind == StoreDir && store.Dir == "" {
			store.Dir = Path(filepath.Join(string(c.DataDir), "rec", string(c.Cities[i].ID)))
		}
	}
}

// reason is err without the path that os puts before it, for sentences that name the path already.
func reason(err error) error {
	if pe, ok := err.(*os.PathError); ok {
		return pe.Err
	}
	return err
}

// A Fault is one thing wrong with the configuration.
type Fault struct {
	File     string `json:"file"`             // the file, or the variable or flag that holds the value
	Line     int    `json:"line,omitempty"`   // from 1; 0 where there is none
	Column   int    `json:"column,omitempty"` // from 1, in characters
	Path     string `json:"path,omitempty"`   // the key: "cities[0].trunks[0].allow"
	Sentence string `json:"sentence"`         // what is wrong, and where we know it, what to write
}

// String is the fault on one line: "callhall.yaml:41:5: cities[0].alow: unknown key (did you mean "allow"?)".
func (f Fault) String() string {
	where := f.File
	if f.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
	}
	if f.Path == "" {
		return where + ": " + f.Sentence
	}
	return where + ": " + f.Path + ": " + f.Sentence
}
