package organization

import "slices"

// Permission is one thing staff may do (N17). Permissions come from
// this table alone, never from scopes of a token.
type Permission string

const (
	ViewProfiles    Permission = "view_profiles"    // profiles, relations, activity
	EditProfiles    Permission = "edit_profiles"    // create, edit, import
	ViewCredentials Permission = "view_credentials" // username, login status, last link
	SendResets      Permission = "send_resets"      // one reset email
	SetPasswords    Permission = "set_passwords"    // usernames and passwords
	ControlLogins   Permission = "control_logins"   // disable, enable, sign out, unlock, remove
	ComposeMailings Permission = "compose_mailings" // drafts, audience, preview, test
	SendMailings    Permission = "send_mailings"    // send, pause, resume, cancel, resend
	RevokeLinks     Permission = "revoke_links"     // end a mailing's unused links
	EditSettings    Permission = "edit_settings"
)

// Roles is the table of roles. FrontDesk sends links and never chooses a password.
var Roles = map[string][]Permission{
	"administrator": {ViewProfiles, EditProfiles, ViewCredentials, SendResets, SetPasswords, ControlLogins, ComposeMailings, SendMailings, RevokeLinks, EditSettings},
	"manager":       {ViewProfiles, EditProfiles, ViewCredentials, SendResets, SetPasswords, ControlLogins, ComposeMailings, SendMailings, RevokeLinks},
	"frontdesk":     {ViewProfiles, EditProfiles, ViewCredentials, SendResets, ControlLogins},
	"viewer":        {ViewProfiles, ViewCredentials},
}

// May says whether a role has a permission; an unknown role has none.
func May(role string, permission Permission) bool { return slices.Contains(Roles[role], permission) }
