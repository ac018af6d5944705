// Package password holds everything about passwords: the text that somebody
// typed ([Plain]), what is stored of it ([Hash]), the work between the two
// ([Hasher]), what may be chosen ([Policy]), and the suggestion that staff and
// members are offered ([Generate]).
//
// To set one: [Policy.Check] gives every reason against it, [Hasher.Hash] the
// string to store. To sign in: [Hasher.Verify] against the stored hash, or
// against [Hasher.Decoy] where there is none; then store a new hash if the
// result says that this one is outdated (H1).
//
// A password is compared in its RFC 8265 OpaqueString form, when it is set and
// when it is verified: every kind of space is a space, and é is one character
// however the keyboard made it. Capitals count, nothing is trimmed or cut off.
// Plain and Hash print, log and marshal as "[redacted]", wherever they stand.
package password
