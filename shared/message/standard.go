package message

// This file holds every word that Memberkey itself says in a mail.

// header opens every mail.
func header() []node {
	return []node{when(fAssociation, element("header", field(fAssociation)))}
}

// footer closes every mail with the help line.
func footer() []node {
	return []node{
		when(fContact, element("footer", text("Do you need help? Our help line: "), helpLine())),
		when(fWebsite, element("footer", text("Our website: "), link("", fWebsite, fWebsite))),
		element("footer", text("This mail was sent to you by "), field(fAssociation), text(".")),
	}
}

// helpLine is what the field HELPLINE shows: nothing, if there is neither a
// phone number nor an email.
func helpLine() node {
	return when(fContact,
		when(fPhone, link("tel:", fTel, fPhone), when(fEmail, text(", "))),
		when(fEmail, link("mailto:", fEmail, fEmail)),
		when(fHours, text(" ("), field(fHours), text(")")))
}

// website is what the field WEBSITE shows.
func website() node { return when(fWebsite, link("", fWebsite, fWebsite)) }

// credentialsBlock is what the field PORTALLOGINLINK becomes: for each login
// the username and the link, labelled where there is more than one (V2, N4).
func credentialsBlock() node {
	return logins(
		when(fSeveral, paragraph(strong(whose()...))),
		usernameLine(),
		setPassword(),
	)
}

func greeting(name fieldID) node {
	return paragraph(text("Hello"), when(name, text(" "), field(name)), text(","))
}

// whose names a login's owner.
func whose() []node {
	return []node{
		field(fLoginName),
		when(fLoginOrganization, text(", "), field(fLoginOrganization)),
		when(fLoginProfileID, text(" (profile "), field(fLoginProfileID), text(")")),
	}
}

func usernameLine() node {
	return paragraph(
		text("Username: "),
		when(fLoginUsername, strong(field(fLoginUsername)), when(fLoginNote, text(" ("), field(fLoginNote), text(")"))),
		unless(fLoginUsername, field(fLoginNote)),
	)
}

// setPassword is the button, the address in full and its end (H10, N10).
func setPassword() node {
	return when(fLoginURL,
		button("Set Password", fLoginURL),
		when(fLoginEnds, paragraph(text("This link works until "), field(fLoginEnds), text(". Opened later, it offers to send a new one."))),
	)
}

// Reason is why a link was sent.
type Reason string

// The reasons of a single mail with a link.
const (
	StaffSent Reason = "staff_sent" // staff pressed the button (H11)
	Forgot    Reason = "forgot"     // asked for on the forgot login page (H12)
	Renewed   Reason = "renewed"    // asked for on a dead link's page (H8)
)

// Reset is the standard "Forgot Login" mail for one profile (H11, S11).
func Reset(a Association, l Login, why Reason) Rendered {
	came := "You, or somebody who typed your name or address, asked on our sign-in page for help with signing in."
	unasked := "Did you not ask for this? Then you do not need to do anything: nothing has changed."
	switch why {
	case StaffSent:
		came = "Our staff have sent you this mail so that you can set your password for our member pages."
		unasked = "Did you not ask us for this? Then you do not need to do anything: nothing has changed."
	case Renewed:
		came = "You asked for a new link, because the one in an earlier mail no longer works. Here it is."
	}
	subject := []node{text("Set your password for "), field(fAssociation)}
	body := []node{
		logins(
			greeting(fLoginName),
			paragraph(text(came)),
			paragraph(append([]node{text("This is the login of ")}, append(whose(), text("."))...)...),
			usernameLine(),
			setPassword(),
		),
		paragraph(text(unasked)),
		when(fSignIn, paragraph(text("When your password is set, you can sign in at any time at "), link("", fSignIn, fSignIn))),
	}
	return standard(subject, body, &Values{Association: a, Logins: []Login{l}})
}

// ForgotLogin is the mail to one mailbox with each login that may sign in
// (H12).
func ForgotLogin(a Association, all []Login) Rendered {
	if len(all) == 1 {
		return Reset(a, all[0], Forgot)
	}
	subject := []node{text("Your logins for "), field(fAssociation)}
	body := []node{
		paragraph(text("Hello,")),
		paragraph(text("You, or somebody who typed your name or address, asked on our sign-in page for help with signing in.")),
		paragraph(text("This address belongs to more than one person or organization. Each has a login and a link of its own; use the one that is yours.")),
		credentialsBlock(),
		paragraph(text("Did you not ask for this? Then you do not need to do anything: nothing has changed.")),
		when(fSignIn, paragraph(text("When your password is set, you can sign in at any time at "), link("", fSignIn, fSignIn))),
	}
	return standard(subject, body, &Values{Association: a, Logins: all})
}

// Change is one thing that a notice tells.
type Change string

// The changes that are told.
const (
	PasswordSet     Change = "password_set" // the first one: the notice is the confirmation
	PasswordChanged Change = "password_changed"
	UsernameChanged Change = "username_changed"
	EmailChanged    Change = "email_changed"
	LoginDisabled   Change = "login_disabled"
	LoginEnabled    Change = "login_enabled"
	LoginRemoved    Change = "login_removed"
)

// Actor is who made a change.
type Actor string

// The actors.
const (
	ByLink   Actor = "link"      // the member, with a link from a mail
	BySignIn Actor = "signed_in" // the member, signed in
	ByStaff  Actor = "staff"
)

// Notice says what changed on a login (H5b). It carries no link that sets a
// password.
type Notice struct {
	Name, OrganizationName, ProfileID string
	Username                          string // as it now is; empty if there is none
	Changes                           []Change
	By                                Actor
	At                                string // as Moment writes it
	// ToOldAddress is set on the copy that goes to the address which is no
	// longer the profile's. Neither copy names the other address: each goes
	// to a mailbox that may not be the same person's.
	ToOldAddress bool
}

// String keeps names out of logs and errors.
func (n Notice) String() string { return "notice to profile " + n.ProfileID }

// GoString is String, for %#v.
func (n Notice) GoString() string { return n.String() }

// changeWords: what a notice says of a change, and its subject if it is the
// only one.
var changeWords = map[Change]struct{ subject, sentence string }{
	PasswordSet:     {"Your password is set: ", "A password was set for this login. From now on you can sign in with it."},
	PasswordChanged: {"Your password was changed: ", "The password of this login was changed. The old one no longer works."},
	UsernameChanged: {"Your username was changed: ", "The username of this login was changed. The old one no longer works."},
	EmailChanged:    {"Your email address was changed: ", "The email address that we have on file for this login was changed to the one that this mail came to."},
	LoginDisabled:   {"Your login was switched off: ", "This login was switched off: nobody can sign in with it. Its username is kept."},
	LoginEnabled:    {"Your login works again: ", "This login was switched on again. You can sign in as before."},
	LoginRemoved:    {"Your login was removed: ", "This login was removed: its username and password no longer exist, and nobody can sign in with them."},
}

const (
	severalChanges = "Your login was changed: "
	awayFromHere   = "The email address that we have on file for this login was changed. It is no longer the one that this mail came to, and our mails to you will go to the new one."
)

var actorWords = map[Actor]string{
	ByLink:   "It was done with the link in one of our mails to you",
	BySignIn: "It was done by somebody who was signed in with this login",
	ByStaff:  "It was done by our staff",
}

// NoticeOf makes the mail of a notice.
func NoticeOf(a Association, n Notice) Rendered {
	var subject, body []node
	heading := severalChanges
	if len(n.Changes) == 1 {
		heading = changeWords[n.Changes[0]].subject
	}
	subject = []node{text(heading), field(fAssociation)}

	body = append(body,
		greeting(fName),
		paragraph(text("This is about the login of "), field(fName),
			when(fOrganizationName, text(", "), field(fOrganizationName)),
			when(fProfileID, text(" (profile "), field(fProfileID), text(")")), text(".")))
	signIn := true
	for _, c := range n.Changes {
		sentence := changeWords[c].sentence
		if c == EmailChanged && n.ToOldAddress {
			sentence = awayFromHere
		}
		if c == LoginDisabled || c == LoginRemoved {
			signIn = false
		}
		body = append(body, paragraph(strong(text(sentence))))
	}
	by, at := actorWords[n.By], cleaned(clip(n.At, maxMoment))
	if at != "" {
		by += ", on " + at
	}
	body = append(body, paragraph(text(by+".")))
	if username := cleaned(clip(n.Username, MaxUsername)); username != "" {
		body = append(body, paragraph(text("Your username is now: "), strong(text(username))))
	}
	if signIn {
		body = append(body, when(fSignIn, paragraph(text("You can sign in at "), link("", fSignIn, fSignIn))))
	}
	body = append(body, paragraph(text("Was this you, or did you ask us for it? Then all is well. If it was not you, please tell us at once."),
		when(fContact, text(" How to reach us stands below."))))
	return standard(subject, body, &Values{Association: a, Name: n.Name, OrganizationName: n.OrganizationName, ProfileID: n.ProfileID})
}

func standard(subject, body []node, v *Values) Rendered {
	return Rendered{
		Subject: string(writeSubject(subject).run(nil, v, nil)),
		HTML:    string(writeHTML(body).run(nil, v, nil)),
		Text:    string(writeText(body).run(nil, v, nil)),
	}
}
