package mailbox

import (
	"bytes"
	"encoding/json"
	"strings"
)

// fate is what becomes of a mail that was taken. It is decided then, and is
// all that its events are made of.
type fate uint8

const (
	delivered fate = iota
	bounced
	bouncedForNow
	complained
	onGlobalList
	onAccountList
	delayed
	rejected
	notRendered
	fates
)

// outcomes are the fates' names in what people and scripts read.
var outcomes = [fates]string{
	"delivered", "bounced", "bounced_for_now", "complained", "suppressed", "suppressed", "delayed", "rejected", "not_rendered",
}

func (f fate) String() string { return outcomes[f] }

// suppresses is why the address goes on the suppression list, "" if it does not.
func (f fate) suppresses() string {
	switch f {
	case bounced:
		return "BOUNCE"
	case complained:
		return "COMPLAINT"
	}
	return ""
}

// The domains whose local parts decide a mail's fate: one that nobody can own
// (RFC 6761), and that of SES, for programs that run against both.
const (
	simulator    = "simulator.example"
	sesSimulator = "simulator.amazonses.com"
)

func isSimulator(domain string) bool {
	return strings.EqualFold(domain, simulator) || strings.EqualFold(domain, sesSimulator)
}

// listed says whether an address may go on the suppression list at all: SES
// leaves those of its own simulator off.
func listed(address string) bool {
	_, domain, _ := strings.Cut(address, "@")
	return !strings.EqualFold(domain, sesSimulator)
}

func simulated(local, domain string) fate {
	if !isSimulator(domain) {
		return delivered
	}
	local, _, _ = strings.Cut(strings.ToLower(local), "+")
	switch local {
	case "bounce":
		return bounced
	case "mailboxfull":
		return bouncedForNow
	case "complaint":
		return complained
	case "suppressionlist":
		return onGlobalList
	case "delay":
		return delayed
	case "reject":
		return rejected
	}
	return delivered
}

// splitAddress takes what SES takes as a bare address: the local part in
// ASCII, and a domain of labels (in A-label form where it is international).
func splitAddress(address string) (local, domain string, ok bool) {
	local, domain, found := strings.Cut(address, "@")
	if !found || local == "" || len(local) > 64 || len(domain) > 253 {
		return "", "", false
	}
	for i := range len(local) {
		switch c := local[i]; {
		case c <= ' ' || c >= 0x7f:
			return "", "", false
		case c == '(' || c == ')' || c == '<' || c == '>' || c == '[' || c == ']' || c == ':' || c == ';' || c == ',' || c == '\\' || c == '"':
			return "", "", false
		case c == '.' && (i == 0 || i == len(local)-1 || local[i-1] == '.'):
			return "", "", false
		}
	}
	label := 0 // length so far
	for i := range len(domain) {
		switch c := domain[i]; {
		case c == '.':
			if label == 0 || domain[i-1] == '-' {
				return "", "", false
			}
			label = 0
			continue
		case c == '-':
			if label == 0 {
				return "", "", false
			}
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		default:
			return "", "", false
		}
		if label++; label > 63 {
			return "", "", false
		}
	}
	return local, domain, label > 0 && domain[len(domain)-1] != '-' && strings.Contains(domain, ".")
}

// content is the template data of one mail.
type content struct {
	Subject Value `json:"subject"`
	HTML    Value `json:"html"`
	Text    Value `json:"text"`
}

// Value is a variable of template data as a template shows it: a string, or
// what else it is in JSON.
type Value string

// UnmarshalJSON is [json.Unmarshaler].
func (v *Value) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		return json.Unmarshal(data, (*string)(v))
	}
	*v = Value(data)
	return nil
}

// variables says whether data is a JSON object at all, and whether it has the
// three variables of the one template. What Memberkey writes is seen at a
// glance; decoding 6 kB of JSON only to learn that would take longer than all
// the rest of taking a mail.
func variables(data []byte) (whole, valid bool) {
	rest := data
	for _, name := range []string{`{"subject":"`, `,"html":"`, `,"text":"`} {
		var ok bool
		if rest, ok = bytes.CutPrefix(rest, []byte(name)); ok {
			rest, ok = afterString(rest)
		}
		if !ok {
			return decodedVariables(data)
		}
	}
	if string(rest) != "}" {
		return decodedVariables(data)
	}
	return true, true
}

// afterString is what follows the JSON string that data begins within.
func afterString(data []byte) ([]byte, bool) {
	for i := 0; ; {
		n := bytes.IndexByte(data[i:], '"')
		if n < 0 {
			return nil, false
		}
		i += n
		slashes := i
		for slashes > 0 && data[slashes-1] == '\\' {
			slashes--
		}
		i++
		if (i-1-slashes)%2 == 0 {
			return data[i:], true
		}
	}
}

func decodedVariables(data []byte) (whole, valid bool) {
	var all map[string]json.RawMessage
	if json.Unmarshal(data, &all) != nil || all == nil {
		return false, false
	}
	for _, name := range []string{"subject", "html", "text"} {
		if _, ok := all[name]; !ok {
			return false, true
		}
	}
	return true, true
}

// escapes is how many bytes data grows by as a string within JSON.
func escapes(data []byte) int {
	return bytes.Count(data, []byte{'"'}) + bytes.Count(data, []byte{'\\'})
}
