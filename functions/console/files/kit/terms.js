// The field's own terms: what the API's codes are called, everywhere.

export const profileType = {individual: "Person", organization: "Company"};

export const status = {active: "Active", lapsed: "Lapsed", prospect: "Prospect", "non-member": "Non-member", dropped: "Dropped"};

export const loginStatus = {none: "No login yet", invited: "Invited", expired: "Link expired", active: "Active", disabled: "Disabled"};
export const loginKind = {none: "plain", invited: "info", expired: "warn", active: "good", disabled: "bad"};

// loginOf a row of a list, which carries no links: no_password, active or disabled.
export const loginOf = (hit) => (hit.disabled ? "disabled" : hit.hasPassword ? "active" : "no_password");
export const login = {...loginStatus, no_password: "No password"};

export const right = {
  member: "is a member",
  main_contact: "is a main contact of a member",
  primary_relation: "has a primary relation to a member",
  related: "is related to a member",
  any_active: "any profile that is not dropped may sign in",
  disabled: "the login is disabled",
  not_a_member: "is no member, and related to none",
  relation_ended: "the relation has ended",
  relation_not_enough: "the relation is not enough for the access level",
  member_lapsed: "the member it hangs on is none at present",
  dropped: "was dropped",
};

export const accessLevel = {
  members_only: "Members Only",
  members_and_main_contact: "Members and Main Contact",
  members_and_primary_relations: "Members and Primary Relations",
  members_and_any_related: "Members and Any Related Profiles",
  any_active_profile: "Any Active Profile",
};

export const undeliverable = {bounced: "mail came back", complained: "was reported as spam", suppressed: "the mail service refuses the address"};

export const outcome = {
  pending: "Waiting", sent: "Sent", delivered: "Delivered", bounced: "Bounced", complained: "Reported as spam",
  failed: "Failed", skipped: "Skipped", uncertain: "Not certain yet",
};
export const outcomeKind = {
  pending: "plain", sent: "info", delivered: "good", bounced: "bad", complained: "bad", failed: "bad", skipped: "warn", uncertain: "warn",
};

export const skipReason = {
  no_email: "No email",
  undeliverable: "Earlier mail came back",
  suppressed: "The mail service refuses the address",
  do_not_email: "Do not email",
  not_allowed: "May not sign in",
  disabled: "The login is disabled",
  has_password: "Has a password already",
  gone: "The profile is gone",
  cancelled: "The mailing was cancelled",
  invalid_address: "The address cannot be mailed",
  listed_twice: "Is in this mailing already",
  too_late: "Was moved while being counted",
};

export const mailingState = {
  draft: "Draft", scheduled: "Scheduled", sending: "Sending", paused: "Paused", waiting_quota: "Waiting for tomorrow's quota",
  cancelled: "Cancelled", done: "Done",
};
export const mailingKind = {draft: "plain", scheduled: "info", sending: "info", paused: "warn", waiting_quota: "warn", cancelled: "bad", done: "good"};

export const activity = {
  profile_created: "Profile created", profile_edited: "Profile edited", email_changed: "Email changed",
  username_changed: "Username changed", password_set: "Password set", password_changed: "Password changed",
  login_disabled: "Login disabled", login_enabled: "Login enabled", login_removed: "Login removed",
  signed_out_everywhere: "Signed out everywhere", wait_ended: "Wait after failures ended", address_released: "Address released",
  reset_email_requested: "Password reset email requested", forgot_login_requested: "Forgot login asked for",
  link_renewed: "Fresh link asked for", link_refused: "Link refused", signed_in: "Signed in", sign_in_refused: "Sign-in refused",
  signed_out: "Signed out", switched_profile: "Switched profile", mail_undelivered: "Mail undelivered",
  settings_changed: "Settings changed", import_run: "Import run", mailing_created: "Mailing created", mailing_edited: "Mailing edited",
  mailing_sent: "Mailing sent", mailing_paused: "Mailing paused", mailing_resumed: "Mailing resumed",
  mailing_cancelled: "Mailing cancelled", mailing_deleted: "Mailing deleted", links_revoked: "Links revoked", mailing_tested: "Mailing tested",
};

export const actorKind = {staff: "Staff", member: "Member", system: "Memberkey"};

export const permission = {
  view_profiles: "See profiles", edit_profiles: "Edit and import profiles", view_credentials: "See usernames and login status",
  send_resets: "Send password reset emails", set_passwords: "Set usernames and passwords",
  control_logins: "Disable, enable and remove logins", compose_mailings: "Compose mailings", send_mailings: "Send mailings",
  revoke_links: "Revoke a mailing's links", edit_settings: "Change settings",
};

export const role = {administrator: "Administrator", manager: "Manager", frontdesk: "Front desk", viewer: "Viewer"};
