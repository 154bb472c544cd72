package ani

import (
	"context"
	"fmt"
	"time"

	"callhall/call"
)

// KindNotice is the leaf of a notice to the city's owner, written and acknowledged.
const KindNotice = "ani.notice/1"

const registerNotices Kind = "notice"

// NoticeAbout is what the city's owner is told of.
type NoticeAbout string

// What a notice can be about.
const (
	NoticeRelease   NoticeAbout = "release"   // a release that the owner hears of the same day: D19, D26 to D29
	NoticeDenied    NoticeAbout = "denied"    // a request of the police or for public records that was denied: D28, D29
	NoticeMisserved NoticeAbout = "misserved" // a paper or a request that is the city's to answer, forwarded
	NoticeCap       NoticeAbout = "cap"       // a cap on reveals was reached
	NoticeRecall    NoticeAbout = "recall"    // a release was recalled
	NoticeProfile   NoticeAbout = "profile"   // the city's terms changed
	NoticeProtected NoticeAbout = "protected" // protection by law was taken off a number
)

// Notice is a notice to the city's owner, as it is shown.
type Notice struct {
	ID           string      `json:"id"`
	State        string      `json:"state" enum:"new,acknowledged"`
	About        NoticeAbout `json:"about"`
	At           time.Time   `json:"at"`
	Call         call.ID     `json:"call,omitempty"`
	Ref          string      `json:"ref"`           // the entry or the release that it is about
	Row          string      `json:"row,omitempty"` // of the terms
	Actor        string      `json:"actor"`         // whose act it was
	TellSubject  bool        `json:"tell_subject"`  // the law lets the subject be told too
	Acknowledged *Signature  `json:"acknowledged,omitempty"`
}

type noticeBody struct {
	origin
	About        NoticeAbout `json:"about"`
	Ref          string      `json:"ref"`
	Row          string      `json:"row"`
	TellSubject  bool        `json:"tell_subject"`
	Acknowledged signature   `json:"acknowledged"`
}

const (
	noticeNew          = "new"
	noticeAcknowledged = "acknowledged"
)

// notice is what the owner is to be told.
type notice struct {
	about       NoticeAbout
	call        call.ID
	ref, row    string
	once        string // with about and ref: what there is one notice of. It stands nowhere
	tellSubject bool
}

// notify tells the owner, once of each thing, and the log that there is a notice.
func (o *Office) notify(ctx context.Context, city call.CityID, n notice, by Person) error {
	now := o.now()
	k := kept[noticeBody]{
		Entry: Entry{City: city, ID: derivedID("ntc", string(city), string(n.about), n.ref+n.once), Call: n.call, State: noticeNew, At: now, DueAt: now.Add(keepAccount)},
		Body:  noticeBody{origin: origin{By: o.sign(by)}, About: n.about, Ref: n.ref, Row: n.row, TellSubject: n.tellSubject}}
	entered, err := enter(ctx, o, o.notices, k, KindNotice, by, map[string]string{"entry": k.ID, "act": "written", "about": string(n.about),
		"ref": n.ref, "row": n.row, "tell_subject": either(n.tellSubject, "yes", "no")})
	if err != nil {
		return fmt.Errorf("notice to the owner: %w", err)
	}
	if entered.At.Equal(now) { // and not told before
		o.cfg.Log.Warn("the owner of a city's numbers is to be told: the notice waits to be acknowledged", "city", city, "notice", k.ID, "about", n.about, "row", n.row)
	}
	return nil
}

// Notices lists what the owner was told, newest first, from below the entry after.
func (o *Office) Notices(ctx context.Context, city call.CityID, after string, limit int) ([]Notice, error) {
	return paged(ctx, o.notices, city, after, limit, shownNotice)
}

// Acknowledge says that the owner has read a notice. Errors: ErrNotPermitted, ErrNotFound.
func (o *Office) Acknowledge(ctx context.Context, city call.CityID, id string, by Person) (Notice, error) {
	if err := permit(by, RolePrivacy); err != nil {
		return Notice{}, fmt.Errorf("acknowledge a notice: %w", err)
	}
	k, err := change(ctx, o, o.notices, city, id, KindNotice, by, func(k *kept[noticeBody]) (map[string]string, error) {
		if k.State == noticeAcknowledged {
			return nil, nil
		}
		k.State, k.Body.Acknowledged = noticeAcknowledged, o.sign(by)
		return map[string]string{"act": "acknowledged", "about": string(k.Body.About), "ref": k.Body.Ref}, nil
	})
	if err != nil {
		return Notice{}, fmt.Errorf("acknowledge a notice: %w", err)
	}
	return shownNotice(k), nil
}

func shownNotice(k kept[noticeBody]) Notice {
	b := k.Body
	return Notice{ID: k.ID, State: k.State, About: b.About, At: k.At, Call: k.Call, Ref: b.Ref, Row: b.Row, Actor: b.By.Actor,
		TellSubject: b.TellSubject, Acknowledged: b.Acknowledged.shown()}
}
