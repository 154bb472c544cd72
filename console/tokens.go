package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"callhall/call"
	"callhall/ledger"
)

// Token lets one person or program in, to one city, in one role. Its secret is shown once, when it is issued; what is
// kept is the secret's hash.
type Token struct {
	ID        string // "tok_" and 128 random bits
	City      call.CityID
	Name      string // whose it is
	Role      Role
	Agent     call.AgentID // which agent the holder is; needed for RoleAgent
	Scope     []Permission // narrows the role to these; empty is all of it
	CreatedAt time.Time
	ExpiresAt time.Time
	RevokedAt time.Time // zero while it holds
}

// Actor is how the holder stands in ledger leaves and in the log; empty for nobody.
func (t Token) Actor() string {
	switch {
	case t.ID == "":
		return ""
	case t.Role == RoleAgent:
		return "agent:" + string(t.Agent)
	default:
		return "token:" + t.Name + "/" + t.ID
	}
}

// TokenStore keeps tokens, and in the same transaction the act that changed them. What it has taken is durable when it
// returns. console/sqlstore implements it.
type TokenStore interface {
	// PutToken keeps a new token under the SHA-256 of its secret, and the act that made it.
	PutToken(ctx context.Context, t Token, hash [32]byte, act Act) error
	// TokenByHash finds a token, revoked and expired ones too. Errors: ErrNotFound.
	TokenByHash(ctx context.Context, hash [32]byte) (Token, error)
	// ListTokens lists the city's tokens, oldest first.
	ListTokens(ctx context.Context, city call.CityID) ([]Token, error)
	// RevokeToken ends the act's token, of which it reads the city and the id, at the act's time. Errors: ErrNotFound, also
	// where it has ended before.
	RevokeToken(ctx context.Context, act Act) error
}

// Tokens issues and recognises tokens. Its methods may be called from any goroutine.
type Tokens struct {
	store TokenStore
	now   func() time.Time
}

// NewTokens returns the tokens in store. now may be nil for time.Now.
func NewTokens(store TokenStore, now func() time.Time) *Tokens {
	if now == nil {
		now = time.Now
	}
	return &Tokens{store: store, now: now}
}

// Errors of Issue and Find.
var (
	ErrBadToken = errors.New("a token needs a city, a name, a role, known permissions and an end in the future")
	ErrNoToken  = errors.New("the token is unknown, has ended or was revoked")
)

// MaxTokenLife is how long a token may hold.
const MaxTokenLife = 366 * 24 * time.Hour

// tokenPrefix lets people and secret scanners know a token when they see one.
const tokenPrefix = "cht_"

// tokenText writes 32 bytes as 52 letters and digits.
var tokenText = base32.StdEncoding.WithPadding(base32.NoPadding)

// goodName is what a holder may be called: it stands in the ledger, so it cannot be a telephone number, and it tells one
// person from another, so there is one way to write it: no marks that combine, one space between words and none at the end.
var goodName = regexp.MustCompile(`^\p{L}[\p{L}\p{Nd}._@-]*( [\p{L}\p{Nd}._@-]+)*$`)

// maxName is the most that a name has, in letters.
const maxName = 64

// longDigits finds seven digits in a row or nearly so: the shortest number that could be somebody's.
var longDigits = regexp.MustCompile(`(\p{Nd}[ ._-]*){7}`)

// Issue makes a token out of t, whose ID and CreatedAt it fills in, and returns it with its secret. Errors: ErrBadToken.
func (k *Tokens) Issue(ctx context.Context, t Token) (secret string, issued Token, err error) {
	return k.make(ctx, t, ActGrant)
}

// Renew is Issue for somebody who has a token like t already.
func (k *Tokens) Renew(ctx context.Context, t Token) (secret string, issued Token, err error) {
	return k.make(ctx, t, ActRenew)
}

func (k *Tokens) make(ctx context.Context, t Token, act ActKind) (secret string, issued Token, err error) {
	now := k.now().UTC()
	if err := t.check(now); err != nil {
		return "", Token{}, err
	}
	t.ID = "tok_" + strings.TrimPrefix(string(call.NewID()), "cl_")
	t.CreatedAt, t.ExpiresAt, t.RevokedAt = now, t.ExpiresAt.UTC(), time.Time{}
	var random [32]byte
	rand.Read(random[:]) // never fails
	secret = tokenPrefix + strings.ToLower(tokenText.EncodeToString(random[:]))
	if err := k.store.PutToken(ctx, t, sha256.Sum256([]byte(secret)), newAct(act, t, now)); err != nil {
		return "", Token{}, fmt.Errorf("issue a token to %s: %w", t.Name, err)
	}
	return secret, t, nil
}

// check tells what a token that is to be issued lacks.
func (t Token) check(now time.Time) error {
	switch {
	case t.City == "":
		return fmt.Errorf("%w: no city", ErrBadToken)
	case !goodName.MatchString(t.Name) || utf8.RuneCountInString(t.Name) > maxName || longDigits.MatchString(t.Name):
		return fmt.Errorf("%w: the name must begin with a letter and have at most 64 letters, digits, single spaces or ._@- and no long row of digits", ErrBadToken)
	case !slices.Contains(Roles(), t.Role):
		return fmt.Errorf("%w: unknown role %q", ErrBadToken, t.Role)
	case t.Role == RoleAgent && t.Agent == "":
		return fmt.Errorf("%w: the role agent needs an agent id", ErrBadToken)
	case !ledger.CanAct(t.Name) || !ledger.CanAct(string(t.Agent)):
		return fmt.Errorf("%w: the name or the agent id may be a telephone number, which cannot stand in the ledger", ErrBadToken)
	case !t.ExpiresAt.After(now) || t.ExpiresAt.After(now.Add(MaxTokenLife)):
		return fmt.Errorf("%w: it must end after now and within %d days", ErrBadToken, int(MaxTokenLife.Hours()/24))
	}
	for _, p := range t.Scope {
		if !knownPermission(p) {
			return fmt.Errorf("%w: unknown permission %q", ErrBadToken, p)
		}
	}
	return nil
}

// Find returns the token of a secret while it holds. Errors: ErrNoToken, or the store's.
func (k *Tokens) Find(ctx context.Context, secret string) (Token, error) {
	if !strings.HasPrefix(secret, tokenPrefix) || len(secret) != len(tokenPrefix)+52 {
		return Token{}, ErrNoToken
	}
	t, err := k.store.TokenByHash(ctx, sha256.Sum256([]byte(secret)))
	if errors.Is(err, ErrNotFound) {
		return Token{}, ErrNoToken
	}
	if err != nil {
		return Token{}, fmt.Errorf("find a token: %w", err)
	}
	if !t.holds(k.now()) {
		return Token{}, ErrNoToken
	}
	return t, nil
}

// holds tells whether t lets somebody in at that time.
func (t Token) holds(at time.Time) bool { return t.RevokedAt.IsZero() && at.Before(t.ExpiresAt) }

// List lists the city's tokens, oldest first, ended ones too.
func (k *Tokens) List(ctx context.Context, city call.CityID) ([]Token, error) {
	return k.store.ListTokens(ctx, city)
}

// Revoke ends a token of the city at once. Errors: ErrNotFound, also where it was revoked before.
func (k *Tokens) Revoke(ctx context.Context, city call.CityID, id string) error {
	return k.store.RevokeToken(ctx, newAct(ActRevoke, Token{ID: id, City: city}, k.now().UTC()))
}
