package console

// Embedded are the files, in the folder "files".
var Embedded = embedded

// RoutesOf are the routes of other files.
var RoutesOf = routes

// TrixStyles are the hashes of Trix's style elements.
var TrixStyles = trixStyles
