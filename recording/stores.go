package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"callhall/call"
)

// ErrNoObject says that the store has no object of that name.
var ErrNoObject = errors.New("no such object")

// Objects is where finished recordings lie, sealed. A name is as ObjectName makes it. Methods may be called at once
// from many goroutines.
type Objects interface {
	// Put stores size bytes of r under name, replacing what was there; it returns nil when they are durable and the
	// store has said so. When r gives fewer bytes or fails, or the store does, nothing is visible under the name that
	// was not there before.
	Put(ctx context.Context, name string, size int64, r io.Reader) error
	// Get gives n bytes from off on. Errors: ErrNoObject. A short object gives fewer bytes.
	Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error)
	// Stat says how long the object is. Errors: ErrNoObject.
	Stat(ctx context.Context, name string) (Object, error)
	// Erase removes every version, delete marker and unfinished upload of the name, and says how many there were.
	// Erasing what is not there is no error.
	Erase(ctx context.Context, name string) (Erased, error)
	// List gives every name of which the store keeps anything: a current or an old version, a marker, an unfinished
	// upload. A name may come more than once. The first error ends it.
	List(ctx context.Context) iter.Seq2[Object, error]
	// Kind says in a word what the store is, for certificates: "dir", "s3".
	Kind() string
	// Place says which store of its kind it is, the same after each start: "dir:/var/lib/callhall/recordings",
	// "s3:https://s3.example.gov/recordings". What one place has, another has not.
	Place() string
}

// ErrNoStore says that a city has no object store.
var ErrNoStore = errors.New("the city has no object store")

// storeOf is where the city's recordings lie. What is to be done with a recording of a city without one waits. Errors:
// ErrNoStore.
func (s *Service) storeOf(city call.CityID) (Objects, error) {
	if o := s.stores[city]; o != nil {
		return o, nil
	}
	return nil, fmt.Errorf("city %s: %w", city, ErrNoStore)
}

// ErrElsewhere says that a recording lies in another store than its city has now.
var ErrElsewhere = errors.New("the recording lies in another store than its city's")

// homeOf is the store that has e, if it is stored. Errors: ErrNoStore, ErrElsewhere.
func (s *Service) homeOf(e Entry) (Objects, error) {
	objects, err := s.storeOf(e.City)
	if err != nil {
		return nil, err
	}
	if foreign(e.State == StateStored, e.Place, objects) {
		return nil, fmt.Errorf("it was stored in %s, city %s has %s now: %w", e.Place, e.City, objects.Place(), ErrElsewhere)
	}
	return objects, nil
}

// foreign tells whether what is stored in place is not in objects. An entry without a place is taken to be at home.
func foreign(stored bool, place string, objects Objects) bool {
	return stored && place != "" && place != objects.Place()
}

// ForeignPlaces counts, by place, the stored recordings that lie in another store than their city has now, or whose city
// has none. They cannot be heard, and when they fall due their keys are destroyed and their bytes stay: give their cities
// that store again, or erase the place by other means.
func (s *Service) ForeignPlaces(ctx context.Context) (map[string]int, error) {
	counts, err := s.catalogue.Places(ctx)
	if err != nil {
		return nil, fmt.Errorf("recordings in other places: %w", err)
	}
	elsewhere := map[string]int{}
	for _, c := range counts {
		objects := s.stores[c.City]
		if objects == nil || foreign(true, c.Place, objects) {
			elsewhere[c.Place] += c.Count
		}
	}
	return elsewhere, nil
}

// Object is one thing in a store.
type Object struct {
	Name  string
	Size  int64
	Since time.Time // when it was stored, by the store's clock
}

// Erased counts what Erase removed.
type Erased struct {
	Versions int
	Markers  int
	Uploads  int // unfinished ones
}

// State is where a recording is in its life. It only moves forward.
type State int

// The states of a recording.
const (
	StateOpen   State = iota + 1 // its call goes on: its node's memory and spool know it, the catalogue does not
	StateSealed                  // over; key wrapped for its due minute; bytes in the node's spool
	StateStored                  // bytes in the object store
	StateErased                  // gone: a tombstone, for ever
)

// String is the state as certificates and the API spell it.
func (s State) String() string {
	switch s {
	case StateOpen:
		return "open"
	case StateSealed:
		return "sealed"
	case StateStored:
		return "stored"
	case StateErased:
		return "erased"
	default:
		return "unknown"
	}
}

// Entry is what the catalogue knows of one recording. Times are UTC, to the microsecond.
type Entry struct {
	City      call.CityID
	ID        call.RecordingID
	Call      call.ID
	Node      string // whose spool has it until it is stored
	State     State
	StartedAt time.Time
	EndedAt   time.Time // zero while open
	DueAt     time.Time // EndedAt + Retention
	Samples   int64
	Wrapped   []byte // data key, wrapped for the minute of DueAt; nil while open and once destroyed
	Size      int64  // of the object, once stored
	Place     string // of the store that has it (Objects.Place), once stored; empty where that was not noted
	Notice    call.Notice
	Why       string // what went wrong, if anything did

	KeyDestroyedAt time.Time
	ErasedAt       time.Time
	Certificate    string
}

// dueMinute is the minute in which a recording falls due, counted from 1970: its key's name in the ring.
func dueMinute(due time.Time) int64 { return due.Unix() / 60 }

// failed is a summary for a recording that could not be kept.
func (e *Entry) failed(err error) call.RecordingSummary {
	return call.RecordingSummary{ID: e.ID, State: call.RecordingFailed, Notice: e.Notice, Why: err.Error()}
}

// summary is what the call's record says of it.
func (e *Entry) summary() call.RecordingSummary {
	return call.RecordingSummary{ID: e.ID, State: call.RecordingKept, Length: length(e.Samples),
		EndedAt: e.EndedAt, DueAt: e.DueAt, Notice: e.Notice, Why: e.Why}
}

// Catalogue is the list of all recordings that have ended: wrapped keys, due times, tombstones. What a method has written is durable
// when it returns. It never goes back: a method that would move a recording to an earlier state, or give a destroyed key
// back, returns ErrErased where a tombstone stands in the way and does nothing otherwise.
type Catalogue interface {
	// Seal enters a recording that has ended, with its wrapped key. Sealed before, it stays as it was. Errors: ErrErased.
	Seal(ctx context.Context, e Entry) error
	// Store notes that its object is stored in that place, size bytes long. Errors: ErrErased, also when its key is
	// destroyed.
	Store(ctx context.Context, city call.CityID, id call.RecordingID, place string, size int64) error
	// DestroyKey removes the wrapped key so that no copy stays in the database's files. at is the first time it was
	// asked: asked again, it keeps the earlier one.
	DestroyKey(ctx context.Context, city call.CityID, id call.RecordingID, at time.Time) error
	// Scrub leaves no copy of a destroyed key in the database's files and logs. Errors: when somebody who reads is in
	// the way; it is then called again.
	Scrub(ctx context.Context) error
	// Bury leaves the tombstone.
	Bury(ctx context.Context, city call.CityID, id call.RecordingID, at time.Time, certificate string) error
	// Get reads one entry. Errors: ErrNotFound, also for another city's recording.
	Get(ctx context.Context, city call.CityID, id call.RecordingID) (Entry, error)
	// Find is Get for one who has only an object's name: the eraser's sweep. The entry names the city.
	Find(ctx context.Context, id call.RecordingID) (Entry, error)
	// OfCall lists the recordings of a call, in the order in which they began.
	OfCall(ctx context.Context, city call.CityID, id call.ID) ([]Entry, error)
	// DueCounts says, by city and place, what is due at t and not buried.
	DueCounts(ctx context.Context, t time.Time) ([]DueCount, error)
	// DueKeys lists a city's recordings that are due at t and have their key still, the longest due first, limit at most.
	DueKeys(ctx context.Context, city call.CityID, t time.Time, limit int) ([]Entry, error)
	// DueBytes lists a city's recordings in one place that are due at t, not buried and without their key, the longest
	// due first, limit at most.
	DueBytes(ctx context.Context, city call.CityID, place string, t time.Time, limit int) ([]Entry, error)
	// Places counts what is stored, by city and place.
	Places(ctx context.Context) ([]PlaceCount, error)
	// Unfinished lists what is sealed on a node and not stored: its bytes are in that node's spool.
	Unfinished(ctx context.Context, node string) ([]Entry, error)
}

// DueCount says how many recordings of a city and place are due, and since when the first of them. What is not stored is
// in the place "".
type DueCount struct {
	City   call.CityID
	Place  string
	Count  int
	Oldest time.Time // its due time
}

// PlaceCount says how many stored recordings of a city lie in a place.
type PlaceCount struct {
	City  call.CityID
	Place string
	Count int
}

// ErrNoKey says that the ring has no key for that minute (any more), or that it does not open what was given.
var ErrNoKey = errors.New("the key ring has no key for this")

// Ring keeps one random key for each city and minute in which a recording falls due, and destroys it when the minute is
// over. Minutes count from 1970. The keys do not leave it.
type Ring interface {
	// Wrap seals key under the key of that minute, made durable first if it is new. aad must be given again to open it.
	Wrap(ctx context.Context, city call.CityID, minute int64, key, aad []byte) ([]byte, error)
	// Unwrap is the inverse. Errors: ErrNoKey.
	Unwrap(ctx context.Context, city call.CityID, minute int64, wrapped, aad []byte) ([]byte, error)
	// Destroy overwrites the keys of all minutes before this one, in every city, and returns how many when that is
	// on the disk.
	Destroy(ctx context.Context, before int64) (int, error)
}
