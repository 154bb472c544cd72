package ani

import "strings"

// Category is the kind of line a call comes from, as the network tells it, in one word of ours: a hint for routing, and no
// proof of anything. Empty is not known.
type Category string

// The categories.
const (
	CategoryOrdinary Category = "ordinary"
	CategoryPayphone Category = "payphone"
	CategoryPrison   Category = "prison"
	CategoryHospital Category = "hospital"
	CategoryHotel    Category = "hotel"
	CategoryMobile   Category = "mobile"
	CategoryRelay    Category = "relay" // telecommunications relay service
	CategoryOperator Category = "operator"
	CategoryPolice   Category = "police"
	CategoryTest     Category = "test"
)

// partyCategories are values of cpc (draft-mahy-iptel-cpc, draft-rocky-sipping-calling-party-category, 3GPP TS 24.229).
var partyCategories = map[string]Category{
	"ordinary": CategoryOrdinary, "payphone": CategoryPayphone, "prison": CategoryPrison, "hospital": CategoryHospital,
	"cellular": CategoryMobile, "mobile-hplmn": CategoryMobile, "mobile-vplmn": CategoryMobile, "operator": CategoryOperator,
	"police": CategoryPolice, "test": CategoryTest,
}

// lineCategories are ANI information digits, as the numbering plan's administrator assigns them.
var lineCategories = map[string]Category{
	"00": CategoryOrdinary, "06": CategoryHotel, "10": CategoryTest, "23": CategoryPayphone, "25": CategoryPayphone,
	"27": CategoryPayphone, "29": CategoryPrison, "34": CategoryOperator, "60": CategoryRelay, "61": CategoryMobile,
	"62": CategoryMobile, "63": CategoryMobile, "66": CategoryRelay, "67": CategoryRelay, "68": CategoryHotel,
	"70": CategoryPayphone,
}

// category reads cpc, or the ANI information digits of isup-oli or oli, which say the same in two digits.
func (a address) category() Category {
	if word, ok := a.param("cpc"); ok {
		if c := partyCategories[strings.ToLower(word)]; c != "" {
			return c
		}
	}
	for _, name := range [...]string{"isup-oli", "oli"} {
		if pair, ok := a.param(name); ok {
			if len(pair) == 1 {
				pair = "0" + pair
			}
			return lineCategories[pair]
		}
	}
	return ""
}
