# Short words for the runbooks. Source it in bash or zsh, from the project's
# folder, with the name of the environment:
#
#	. infra/runbooks/tools.sh prod
#
# It needs the AWS CLI (2), curl, and an AWS session for the environment's account.
STACK=memberkey-${1:?say which environment: dev, staging or prod}
AWS_REGION=$(sed -n "/^\[$1\.deploy\./,/^\$/s/^region = \"\(.*\)\"/\1/p" samconfig.toml)
AWS_PAGER=''
export AWS_REGION AWS_PAGER
test -n "$AWS_REGION" || echo "no environment $1 in samconfig.toml; or this is not the project's folder" >&2

# id ProfilesFunction: the name that a resource of template.yaml has in AWS.
id() { aws cloudformation describe-stack-resource --stack-name "$STACK" --logical-resource-id "$1" --query StackResourceDetail.PhysicalResourceId --output text; }

# output ApiAddress: an output of the stack.
output() { aws cloudformation describe-stacks --stack-name "$STACK" --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue" --output text; }

# alarms: what rings now, and why.
alarms() { aws cloudwatch describe-alarms --alarm-name-prefix "$STACK" --state-value ALARM --query 'MetricAlarms[].[AlarmName,StateUpdatedTimestamp,StateReason]' --output text; }

# ago 60: the time so many minutes ago, in seconds.
ago() { echo $(($(date +%s) - $1 * 60)); }

# query /log/group 60 'filter …': CloudWatch Logs Insights over the last minutes.
query() {
	_query=$(aws logs start-query --log-group-name "$1" --start-time "$(ago "$2")" --end-time "$(date +%s)" --query-string "$3" --query queryId --output text) || return
	while :; do
		case $(aws logs get-query-results --query-id "$_query" --query status --output text) in
		Complete) break ;;
		Scheduled | Running | Unknown) sleep 1 ;;
		*) echo "the query failed" >&2 && return 1 ;;
		esac
	done
	aws logs get-query-results --query-id "$_query" --query 'results[].[join(`"  "`, [?field!=`"@ptr"`].value)]' --output text
}

# logs ProfilesFunction 60 'filter …': the same over the log of a function.
logs() { query "$(aws lambda get-function-configuration --function-name "$(id "$1")" --query LoggingConfig.LogGroup --output text)" "$2" "$3"; }

# metric AWS/Lambda Errors FunctionName "$(id ProfilesFunction)" Sum: the last three hours by five minutes.
metric() {
	aws cloudwatch get-metric-statistics --namespace "$1" --metric-name "$2" --dimensions "Name=$3,Value=$4" --statistics "$5" --period 300 \
		--start-time "$(ago 180)" --end-time "$(date +%s)" --query 'sort_by(Datapoints,&Timestamp)[].[Timestamp,Sum,Maximum,Average]' --output text
}

# waiting FanoutQueue: messages that wait, and that are being worked.
waiting() {
	aws sqs get-queue-attributes --queue-url "$(id "$1")" --attribute-names ApproximateNumberOfMessages ApproximateNumberOfMessagesNotVisible \
		--query 'Attributes.[ApproximateNumberOfMessages,ApproximateNumberOfMessagesNotVisible]' --output text
}

# peek FanoutDeadLetters: up to ten messages, which stay where they are.
peek() {
	aws sqs receive-message --queue-url "$(id "$1")" --max-number-of-messages 10 --visibility-timeout 5 --message-system-attribute-names All \
		--query 'Messages[].[Attributes.SentTimestamp,Body]' --output text
}

# arn FanoutQueue: a queue's ARN.
arn() { aws sqs get-queue-attributes --queue-url "$(id "$1")" --attribute-names QueueArn --query Attributes.QueueArn --output text; }

# redrive FanoutDeadLetters: all of them go to FanoutQueue. It is named because
# of what SNS could not deliver: of that, SQS does not know where it came from.
redrive() { aws sqs start-message-move-task --source-arn "$(arn "$1")" --destination-arn "$(arn "${1%DeadLetters}Queue")"; }

# sources DeliveryFunction: the queues that feed a function, and whether they do.
sources() { aws lambda list-event-source-mappings --function-name "$(id "$1"):live" --query 'EventSourceMappings[].[UUID,State,EventSourceArn]' --output text; }

# hold and feed DeliveryFunction: its queues wait, or go on. Nothing is lost
# meanwhile: messages are kept for 14 days, and the sweep rings for the rest.
hold() { for _uuid in $(sources "$1" | cut -f 1); do aws lambda update-event-source-mapping --uuid "$_uuid" --no-enabled --query State --output text; done; }
feed() { for _uuid in $(sources "$1" | cut -f 1); do aws lambda update-event-source-mapping --uuid "$_uuid" --enabled --query State --output text; done; }

# shut and unshut SigninFunction: no call of the function is begun, or all are
# again. The API answers 503 meanwhile. completion and signin get back the limit
# that MemberConcurrency gives them.
shut() { aws lambda put-function-concurrency --function-name "$(id "$1")" --reserved-concurrent-executions 0; }
unshut() {
	_limit=$(aws cloudformation describe-stacks --stack-name "$STACK" --query "Stacks[0].Parameters[?ParameterKey=='MemberConcurrency'].ParameterValue" --output text)
	case $1:$_limit in
	CompletionFunction:[0-9]* | SigninFunction:[0-9]*) aws lambda put-function-concurrency --function-name "$(id "$1")" --reserved-concurrent-executions "$_limit" ;;
	*) aws lambda delete-function-concurrency --function-name "$(id "$1")" ;;
	esac
}

# versions SigninFunction: the latest, and the one that is live.
versions() {
	aws lambda list-versions-by-function --function-name "$(id "$1")" --query 'Versions[-6:].[Version,LastModified]' --output text
	aws lambda get-alias --function-name "$(id "$1")" --name live --query '[`"live:"`,FunctionVersion,RoutingConfig]' --output text
}

# back SigninFunction 41: that version is live within seconds.
back() { aws lambda update-alias --function-name "$(id "$1")" --name live --function-version "$2" --routing-config 'AdditionalVersionWeights={}' --query FunctionVersion --output text; }

# signin somebody@example.org: asks for the password of a member of staff and
# the code of their authenticator, and keeps their token for an hour in
# MEMBERKEY_TOKEN. It works where the stack has a user pool of its own.
signin() {
	printf 'Password of %s: ' "$1" >&2
	stty -echo && read -r _password
	stty echo && printf '\nCode of the authenticator: ' >&2
	read -r _code
	_pool=$(output UserPoolId) _client=$(output UserPoolClientId)
	_session=$(printf '{"AuthFlow":"ADMIN_USER_PASSWORD_AUTH","UserPoolId":"%s","ClientId":"%s","AuthParameters":{"USERNAME":"%s","PASSWORD":"%s"}}' \
		"$_pool" "$_client" "$1" "$(printf %s "$_password" | sed 's/[\\"]/\\&/g')" |
		aws cognito-idp admin-initiate-auth --cli-input-json file:///dev/stdin --query Session --output text) || return
	MEMBERKEY_TOKEN=$(aws cognito-idp admin-respond-to-auth-challenge --user-pool-id "$_pool" --client-id "$_client" --challenge-name SOFTWARE_TOKEN_MFA \
		--session "$_session" --challenge-responses "USERNAME=$1,SOFTWARE_TOKEN_MFA_CODE=$_code" --query AuthenticationResult.AccessToken --output text) || return
	unset _password _code _session
	export MEMBERKEY_TOKEN
}

# api GET /api/me: asks the API as whoever signed in. What follows is curl's; a
# body is JSON unless a Content-Type says otherwise.
api() {
	_method=$1 _path=$2
	shift 2
	case "$*" in
	*Content-Type*) ;;
	*) set -- -H 'Content-Type: application/json' "$@" ;;
	esac
	curl -sS -X "$_method" -H "Authorization: Bearer $MEMBERKEY_TOKEN" "$@" "$(output ApiAddress)$_path" && echo
}
