package ledger

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"callhall/call"
)

// A LogID names one log. A city's first log has the city's name; the n-th, which took the place of a frozen one
// (Succeed), is CITY/n.
type LogID string

// cityName is what a city may be called: it becomes part of a checkpoint's origin and of file names.
var cityName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// logID names the n-th log of a city, counted from 1.
func logID(city call.CityID, n int) LogID {
	if n == 1 {
		return LogID(city)
	}
	return LogID(fmt.Sprintf("%s/%d", city, n))
}

// ParseLogID reads CITY or CITY/n and takes nothing but the one spelling. Errors: ErrRefused.
func ParseLogID(s string) (LogID, error) {
	id := LogID(s)
	if n := id.number(); n > 0 && cityName.MatchString(string(id.City())) && id == logID(id.City(), n) {
		return id, nil
	}
	return "", fmt.Errorf("%w: %q is not the name of a log", ErrRefused, s)
}

// City is whose log it is.
func (id LogID) City() call.CityID {
	city, _, _ := strings.Cut(string(id), "/")
	return call.CityID(city)
}

// number is the log's place among those of its city, from 1; 0 when the name has none.
func (id LogID) number() int {
	_, n, found := strings.Cut(string(id), "/")
	if !found {
		return 1
	}
	number, err := strconv.Atoi(n)
	if err != nil || number < 2 {
		return 0
	}
	return number
}

// next is the log that takes this one's place.
func (id LogID) next() LogID { return logID(id.City(), id.number()+1) }

// Origin is the first line of the log's checkpoints and the name of its keys.
func (id LogID) Origin() string { return originPrefix + string(id) }

const originPrefix = "callhall/ledger/"

// FileName is the log's name where no slash can stand: CITY, or CITY@n, which is no city's name.
func (id LogID) FileName() string { return strings.Replace(string(id), "/", "@", 1) }

// Origin is the first line of the checkpoints of a city's first log.
func Origin(city call.CityID) string { return LogID(city).Origin() }
