package ani

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callhall/call"
)

// Office is the privacy office of each city: it keeps the consents, the papers of courts and police, the screening lists,
// the choice of terms and the requests for a number that a person makes, and takes such a request from its asking to the
// one reveal. Whoever asks says for what; on what consent or paper the answer rests, the office finds in its own
// registers. It is safe for concurrent use. Whatever it enters is in the city's ledger first.
type Office struct {
	vault *Vault
	cfg   OfficeConfig
	desk  *desk
	locks locks

	consents    register[consentBody]
	papers      register[paperBody]
	copies      register[copyBody]
	asks        register[askBody]
	notices     register[noticeBody]
	disclosures register[disclosureBody]
	subjects    register[subjectBody]
	recalls     register[recallBody]
	screens     register[screenBody]
	protections register[protectionBody]
	profiles    register[profileBody]
	handles     register[handleBody]
	counts      register[countBody]

	alarms *prometheus.CounterVec
}

// OfficeConfig has what may be set. Zero values are filled in.
type OfficeConfig struct {
	Calls    Calls                 // nil: nobody handles any call
	Caps     map[call.CityID]Caps  // narrows DefaultCaps
	Log      *slog.Logger          // nil: the vault's
	Registry prometheus.Registerer // nil: not counted
}

// Calls is what the office needs to know of the engine's calls. What a person says of them it does not take.
type Calls interface {
	// Handling says who has to do with a call that is going on or over. Errors: ErrNotFound.
	Handling(ctx context.Context, city call.CityID, id call.ID) (Handling, error)
}

// Handling says who has to do with a call.
type Handling struct {
	Agents  []call.AgentID // who speak with the caller or, when it is over, who did last
	Queue   call.QueueID
	Trunk   call.TrunkID // that it came in by
	Live    bool
	Dropped bool      // it was cut off: neither side meant to end it
	EndedAt time.Time // zero while it is going on
}

// Role is what somebody does in the office of one city; the names are those of the console.
type Role string

// The roles.
const (
	RoleAgent      Role = "agent"
	RoleSupervisor Role = "supervisor"
	RolePrivacy    Role = "privacy"
	RoleRecords    Role = "records"
	RoleOperator   Role = "operator" // runs the system, and is no officer of the city
)

// Person is who acts, as the edge has proved it.
type Person struct {
	Actor  string // as in a ledger leaf: "agent:ana"
	Holder string // the name of the person behind it, an agent's too: one who holds two tokens is still one person. Empty: the actor
	Role   Role
	Agent  call.AgentID // of RoleAgent
}

// is tells whether p is the same human as another entry says. It is the one comparison of people: of a second person's with
// the first, and of a cap's.
func (p Person) is(q signature) bool {
	return p.Actor == q.Actor || sameName(p.holder(), q.Holder)
}

// sameName compares names as people write them: without regard to capitals and to how much space is around and between
// words. The edge lets no name in with marks that combine, so that no letter has two spellings.
func sameName(a, b string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

func (p Person) holder() string {
	if p.Holder != "" {
		return p.Holder
	}
	return p.Actor
}

// signature is a person's act as a register keeps it.
type signature struct {
	Actor  string    `json:"actor"`
	Holder string    `json:"holder"`
	Role   Role      `json:"role"`
	At     time.Time `json:"at"`
}

func (s signature) zero() bool { return s.Actor == "" }

// Signature is who did something and when, as it is shown.
type Signature struct {
	Actor string    `json:"actor"`
	Role  Role      `json:"role"`
	At    time.Time `json:"at"`
}

func (s signature) shown() *Signature {
	if s.zero() {
		return nil
	}
	return &Signature{s.Actor, s.Role, s.At}
}

var (
	// ErrNotPermitted says that this role, or this person, does not do that.
	ErrNotPermitted = errors.New("ani: this is not for the person who asks it")
	// ErrState says that the entry is past that: approved, revealed, withdrawn or expired before.
	ErrState = errors.New("ani: the entry is no longer in a state for that")
	// ErrReused says that the key of a retried request was used for another one before.
	ErrReused = errors.New("ani: this key was used for another request")
	// ErrIncomplete says that something is missing in what was handed in, or too long, or not of the list it must be of.
	ErrIncomplete = errors.New("ani: the request is not complete")
	// ErrTooMany says that a cap on reveals or on searches was reached.
	ErrTooMany = errors.New("ani: too many numbers were revealed or searched for in this hour")
)

// NewOffice returns the office over a vault, and makes the vault ask it from then on: call it before the vault is used.
// Until Load has read a city's registers, that city is decided for by the strictest: every subject counts as protected.
func NewOffice(v *Vault, cfg OfficeConfig) (*Office, error) {
	if cfg.Calls == nil {
		cfg.Calls = noCalls{}
	}
	if cfg.Log == nil {
		cfg.Log = v.cfg.Log
	}
	o := &Office{vault: v, cfg: cfg, desk: newDesk(v.cfg.Profiles), alarms: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "callhall_ani_alarms_total", Help: "Alarms about caller numbers, each with a notice to the city's owner."}, []string{"alarm"})}
	for c, caps := range cfg.Caps {
		if err := caps.narrows(); err != nil {
			return nil, fmt.Errorf("privacy office of %s: %w", c, err)
		}
	}
	if cfg.Registry != nil {
		if err := cfg.Registry.Register(o.alarms); err != nil {
			return nil, fmt.Errorf("privacy office: %w", err)
		}
	}
	o.openRegisters()
	v.desk = counselor{o}
	return o, nil
}

type noCalls struct{}

func (noCalls) Handling(context.Context, call.CityID, call.ID) (Handling, error) {
	return Handling{}, ErrNotFound
}

// Load reads what every decision about the cities' callers needs: their profile, their screening lists and whom the law
// protects. Run it before the first call, and again for what failed.
func (o *Office) Load(ctx context.Context, cities ...call.CityID) error {
	var errs []error
	for _, city := range cities {
		if err := o.load(ctx, city); err != nil {
			errs = append(errs, fmt.Errorf("read the registers of %s: %w", city, err))
		}
	}
	return errors.Join(errs...)
}

func (o *Office) load(ctx context.Context, city call.CityID) error {
	return errors.Join(o.loadProfile(ctx, city), o.loadScreening(ctx, city), o.loadProtected(ctx, city))
}

// Run keeps up with what other nodes have entered, and with what an emergency left to be accounted for, until ctx ends.
func (o *Office) Run(ctx context.Context, cities ...call.CityID) {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := errors.Join(o.Load(ctx, cities...), o.vault.accountLate(ctx)); err != nil && ctx.Err() == nil {
			o.cfg.Log.Error("the privacy office's registers cannot be read; what was read before holds, a city never read is decided for by the strictest",
				"err", err)
		}
	}
}

func (o *Office) openRegisters() {
	v := o.vault
	o.consents = register[consentBody]{v, registerConsents}
	o.papers = register[paperBody]{v, registerPapers}
	o.copies = register[copyBody]{v, registerCopies}
	o.asks = register[askBody]{v, registerAsks}
	o.notices = register[noticeBody]{v, registerNotices}
	o.disclosures = v.disclosures()
	o.subjects = register[subjectBody]{v, registerSubjects}
	o.recalls = register[recallBody]{v, registerRecalls}
	o.screens = register[screenBody]{v, registerScreens}
	o.protections = register[protectionBody]{v, registerProtections}
	o.profiles = register[profileBody]{v, registerProfiles}
	o.handles = register[handleBody]{v, registerHandles}
	o.counts = register[countBody]{v, registerCounts}
}

// now is the vault's clock.
func (o *Office) now() time.Time { return o.vault.cfg.Now().UTC() }

func (o *Office) sign(by Person) signature {
	return signature{Actor: by.Actor, Holder: by.holder(), Role: by.Role, At: o.now()}
}

// permit lets these roles pass.
func permit(by Person, roles ...Role) error {
	if by.Actor == "" || !slices.Contains(roles, by.Role) {
		return fmt.Errorf("%w: it is for %s", ErrNotPermitted, roleList(roles))
	}
	return nil
}

func roleList(roles []Role) string {
	var names []string
	for _, r := range roles {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// second lets anybody pass but those who signed before.
func second(by Person, before ...signature) error {
	for _, s := range before {
		if !s.zero() && by.is(s) {
			return ErrSecondPerson
		}
	}
	return nil
}

// record writes a leaf about an entry of a register. Nothing that a person typed goes in but what plainCase lets pass.
func (o *Office) record(ctx context.Context, city call.CityID, kind string, id call.ID, by Person, f map[string]string) error {
	f = maps.Clone(f)
	f["role"] = string(by.Role)
	maps.DeleteFunc(f, func(_, v string) bool { return v == "" })
	err := o.vault.ledger.Append(ctx, city, call.Leaf{Kind: kind, At: o.now(), Call: id, Actor: by.Actor, Facts: f})
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}
