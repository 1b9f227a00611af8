"""What template.yaml deploys for given parameters, in the words of the Terraform provider.

The translation is in one file because it is one table: a function for each type of resource.

Strict: a resource type, a property, a function of CloudFormation's or a reference that is not named here is an error.
"""

import json
import re

from template import DEPLOYED, TEMPLATE
from terraform import ACCOUNT, PARTITION, REGION

NAME = "unthrottle"
PSEUDO = {"AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::Partition": PARTITION, "AWS::StackName": NAME}

# The module's resource for each of the template's.
TWIN = {
    "Function": "aws_lambda_function.unthrottle",
    "FunctionEventInvokeConfig": "aws_lambda_function_event_invoke_config.unthrottle",
    "LogGroup": "aws_cloudwatch_log_group.unthrottle",
    "DeadLetterQueue": "aws_sqs_queue.dead_letters",
    "DeadLetterQueuePolicy": "aws_sqs_queue_policy.dead_letters",
    "Role": "aws_iam_role.unthrottle",
    "ThrottleRule": "aws_cloudwatch_event_rule.throttle",
    "ThrottleRulePermission": "aws_lambda_permission.throttle",
    "AlarmRule": "aws_cloudwatch_event_rule.alarm",
    "AlarmRulePermission": "aws_lambda_permission.alarm",
    "SweepGroup": "aws_scheduler_schedule_group.sweep",
    "SweepSchedule": "aws_scheduler_schedule.sweep",
    "SweepRole": "aws_iam_role.sweep",
    "SweepRule": "aws_cloudwatch_event_rule.sweep",
    "SweepRulePermission": "aws_lambda_permission.sweep",
    "OwnTopicKey": "aws_kms_key.topic",
    "Topic": "aws_sns_topic.unthrottle",
    "TopicPolicy": "aws_sns_topic_policy.unthrottle",
    "EmailSubscription": "aws_sns_topic_subscription.email",
    "Trail": "aws_cloudtrail.trail",
    "TrailBucket": "aws_s3_bucket.trail",
    "TrailBucketPolicy": "aws_s3_bucket_policy.trail",
    "FleetDashboard": "aws_cloudwatch_dashboard.unthrottle",
    "IteratorAgeAlarm": "aws_cloudwatch_metric_alarm.readers_behind",
    **{
        f"{name}Alarm": "aws_cloudwatch_metric_alarm." + re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        for name in ["WriteThrottled", "ReadThrottled", "AutoFix", "NeedsPerson", "FleetLimit", "Untold", "NoSweep", "SweepFailed"]
        + ["FunctionErrors", "FunctionThrottles", "DeadLetters"]
    },
}

# What a reference to a resource of this type is: to CloudFormation, by Ref or an attribute; to the provider, an attribute.
REFERENCE = {
    "AWS::Lambda::Function": {"Ref": "function_name", "Arn": "arn"},
    # CloudFormation's ends in `:*`, and takes the group's streams in.
    "AWS::Logs::LogGroup": {"Ref": "name", "Arn": "arn:*"},
    "AWS::SQS::Queue": {"Ref": "url", "Arn": "arn", "QueueName": "name"},
    "AWS::IAM::Role": {"Ref": "name", "Arn": "arn"},
    "AWS::Events::Rule": {"Ref": "name", "Arn": "arn"},
    "AWS::CloudWatch::Alarm": {"Ref": "alarm_name", "Arn": "arn"},
    "AWS::Scheduler::ScheduleGroup": {"Ref": "name", "Arn": "arn"},
    "AWS::Scheduler::Schedule": {"Ref": "name", "Arn": "arn"},
    "AWS::KMS::Key": {"Ref": "key_id", "Arn": "arn"},
    "AWS::SNS::Topic": {"Ref": "arn"},
    "AWS::S3::Bucket": {"Ref": "id", "Arn": "arn"},
}

NO_VALUE = object()


# The provider's arguments have these names.
OF_THE_PROVIDER = {"PermissionsBoundaryArn": "permissions_boundary", "LogKmsKeyArn": "kms_key_arn"}


def snake(name):
    """The variable of a parameter, the output of an output."""
    if name in OF_THE_PROVIDER:
        return OF_THE_PROVIDER[name]
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.replace("MiB", "Mib")).lower()


def reference(logical, attribute):
    known = REFERENCE[DEPLOYED["Resources"][logical]["Type"]]
    attribute, colon, rest = known[attribute].partition(":")
    return f"<{TWIN[logical]}.{attribute}>{colon}{rest}"


class Stack:
    """The template with these parameters."""

    def __init__(self, given):
        self.parameters = {name: given.get(name, declared["Default"]) for name, declared in TEMPLATE["Parameters"].items()}
        assert set(given) <= set(self.parameters)

    def holds(self, condition):
        return self.resolve(TEMPLATE["Conditions"][condition])

    def named(self, name):
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in PSEUDO:
            return PSEUDO[name]
        return self.parameters[name] if name in self.parameters else reference(name, "Ref")

    def resolve(self, value):
        if isinstance(value, list):
            return [each for each in map(self.resolve, value) if each is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            match function:
                case "Ref":
                    return self.named(argument)
                case "Fn::GetAtt":
                    return reference(*argument)
                case "Fn::If":
                    return self.resolve(argument[1 if self.holds(argument[0]) else 2])
                case "Fn::Equals":
                    first, second = self.resolve(argument)
                    return str(first) == str(second)
                case "Fn::Not":
                    return not self.resolve(argument)[0]
                case "Fn::Join":
                    return argument[0].join(self.resolve(argument[1]))
                case "Fn::Sub":
                    text, own = argument if isinstance(argument, list) else (argument, {})
                    return re.sub(r"\$\{([\w:]+)(?:\.(\w+))?\}", lambda match: self.substituted(match, own), text)
            assert not function.startswith("Fn::") and function != "Condition", function
        found = {name: self.resolve(each) for name, each in value.items()}
        return {name: each for name, each in found.items() if each is not NO_VALUE}

    def substituted(self, match, own):
        if match[1] in own:
            return str(self.resolve(own[match[1]]))
        return reference(match[1], match[2]) if match[2] else str(self.named(match[1]))

    def resources(self):
        """{address: arguments} of what the provider is to make."""
        found = {}
        for logical, resource in DEPLOYED["Resources"].items():
            # DeletionPolicy: Terraform deletes what is taken out of it, as the module's README says of the bucket.
            known = {"Type", "Properties", "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy", "Metadata"}
            assert set(resource) <= known, logical
            if "Condition" in resource and not self.holds(resource["Condition"]):
                continue
            properties = self.resolve(resource.get("Properties", {}))
            made = dict(TRANSLATE[resource["Type"]](TWIN[logical], properties))
            assert properties == {}, (logical, "not translated", properties)
            assert not set(made) & set(found)
            found |= made
        return found

    def outputs(self):
        return {snake(name): self.resolve(output["Value"]) for name, output in TEMPLATE["Outputs"].items()}


def label(address):
    return address.partition(".")[2]


def own_name(address):
    """A name that CloudFormation would make up: the module's own, of `name` and what it is."""
    return f"{NAME}-{label(address).replace('_', '-')}"


def renamed(properties, names):
    """These properties, under the provider's names; one that is not set is left out."""
    return {ours: properties.pop(theirs) for theirs, ours in names.items() if theirs in properties}


def alone(properties, name):
    """The one property that there is."""
    assert list(properties) == [name], (properties, name)
    return properties[name]


def tags(properties):
    found = properties.pop("Tags", [])
    assert all(set(tag) == {"Key", "Value"} for tag in found)
    return {"tags": {tag["Key"]: tag["Value"] for tag in found}} if found else {}


def function(address, p):
    # Where the code is, is for the module's `package` to say.
    assert set(p.pop("Code")) == {"S3Bucket", "S3Key"}
    assert p.pop("Tags") == [{"Key": "lambda:createdBy", "Value": "SAM"}]
    environment = p.pop("Environment")
    variables = environment.pop("Variables")
    names = {"Description": "description", "Handler": "handler", "Runtime": "runtime", "Architectures": "architectures"}
    names |= {"MemorySize": "memory_size", "Timeout": "timeout", "Role": "role"}
    logging = p.pop("LoggingConfig")
    yield address, {
        "function_name": NAME,
        "filename": "package.zip",
        # Of the package that the evaluation is given.
        "source_code_hash": "wM1cz9tWOlk2bjPnMAG3j9uMylpsSOL5D//N5EuB8fY=",
        # No reservation is left out there, and -1 here.
        "reserved_concurrent_executions": p.pop("ReservedConcurrentExecutions", -1),
        "environment": [{"variables": {name: str(value) for name, value in variables.items()}}],
        "logging_config": [renamed(logging, {"LogGroup": "log_group", "LogFormat": "log_format"})],
        **renamed(p, names),
    }
    assert logging == environment == {}


def event_invoke_config(address, p):
    destination = alone(alone(p.pop("DestinationConfig"), "OnFailure"), "Destination")
    yield address, {
        "destination_config": [{"on_failure": [{"destination": destination}]}],
        **renamed(
            p,
            {
                "FunctionName": "function_name",
                "Qualifier": "qualifier",
                "MaximumEventAgeInSeconds": "maximum_event_age_in_seconds",
                "MaximumRetryAttempts": "maximum_retry_attempts",
            },
        ),
    }


def log_group(address, p):
    names = {"RetentionInDays": "retention_in_days", "KmsKeyId": "kms_key_id"}
    yield address, {"name": f"/aws/lambda/{NAME}", **renamed(p, names)}


def queue(address, p):
    names = {"SqsManagedSseEnabled": "sqs_managed_sse_enabled", "MessageRetentionPeriod": "message_retention_seconds"}
    yield address, {"name": own_name(address), **renamed(p, names)}


def queue_policy(address, p):
    (url,) = p.pop("Queues")
    yield address, {"queue_url": url, "policy": p.pop("PolicyDocument")}


def role(address, p):
    (policy,) = p.pop("Policies")
    names = {"RoleName": "name", "Path": "path", "PermissionsBoundary": "permissions_boundary", "Description": "description"}
    yield address, {"assume_role_policy": p.pop("AssumeRolePolicyDocument"), **renamed(p, names)}
    yield address.replace("_role.", "_role_policy."), {
        "name": policy.pop("PolicyName"),
        "role": f"<{address}.id>",
        "policy": policy.pop("PolicyDocument"),
    }
    assert policy == {}


def rule(address, p):
    (target,) = p.pop("Targets")
    names = {"Description": "description", "EventPattern": "event_pattern", "ScheduleExpression": "schedule_expression"}
    yield address, {"name": own_name(address), **renamed(p, names), **tags(p)}
    made = {"rule": f"<{address}.name>", **renamed(target, {"Id": "target_id", "Arn": "arn"})}
    # The provider sends 0 for what is left out. EventBridge takes a day, and 185 attempts.
    retries = {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185} | target.pop("RetryPolicy")
    names = {"MaximumEventAgeInSeconds": "maximum_event_age_in_seconds", "MaximumRetryAttempts": "maximum_retry_attempts"}
    made["retry_policy"] = [renamed(retries, names)]
    if "Input" in target:
        made["input"] = json.loads(target.pop("Input"))
    if "DeadLetterConfig" in target:
        made["dead_letter_config"] = [{"arn": alone(target.pop("DeadLetterConfig"), "Arn")}]
    yield address.replace("_rule.", "_target."), made
    assert target == retries == {}


def permission(address, p):
    names = {"FunctionName": "function_name", "Action": "action", "Principal": "principal", "SourceArn": "source_arn"}
    yield address, {"statement_id": own_name(address), **renamed(p, names)}


def metric_query(query):
    names = {"Id": "id", "Label": "label", "Expression": "expression", "Period": "period", "ReturnData": "return_data"}
    made = renamed(query, names)
    if "MetricStat" in query:
        stat = query.pop("MetricStat")
        metric = renamed(stat.pop("Metric"), {"Namespace": "namespace", "MetricName": "metric_name"})
        made["metric"] = [metric | renamed(stat, {"Period": "period", "Stat": "stat"})]
        assert stat == {}
    assert query == {}
    return made


def alarm(address, p):
    queries = [metric_query(query) for query in p.pop("Metrics", [])]
    dimensions = {each["Name"]: each["Value"] for each in p.pop("Dimensions", [])}
    names = {
        "AlarmDescription": "alarm_description",
        "Namespace": "namespace",
        "MetricName": "metric_name",
        "Statistic": "statistic",
        "Period": "period",
        "EvaluationPeriods": "evaluation_periods",
        "DatapointsToAlarm": "datapoints_to_alarm",
        "ComparisonOperator": "comparison_operator",
        "Threshold": "threshold",
        "TreatMissingData": "treat_missing_data",
        "AlarmActions": "alarm_actions",
        "InsufficientDataActions": "insufficient_data_actions",
    }
    made = {"alarm_name": own_name(address), **renamed(p, names)}
    made["alarm_description"] = in_our_words(made["alarm_description"])
    if queries:
        made["metric_query"] = queries
    if dimensions:
        made["dimensions"] = dimensions
    yield address, made


def schedule_group(address, p):
    yield address, {"name": own_name(address), **tags(p)}


def schedule(address, p):
    target, window = p.pop("Target"), p.pop("FlexibleTimeWindow")
    yield address, {
        "name": own_name(address),
        "flexible_time_window": [renamed(window, {"Mode": "mode"})],
        "target": [
            {
                "input": json.loads(target.pop("Input")),
                "retry_policy": [renamed(target["RetryPolicy"], {"MaximumRetryAttempts": "maximum_retry_attempts"})],
                **renamed(target, {"Arn": "arn", "RoleArn": "role_arn"}),
            }
        ],
        **renamed(p, {"Description": "description", "GroupName": "group_name", "ScheduleExpression": "schedule_expression"}),
    }
    assert window == {} and target == {"RetryPolicy": {}}


def key(address, p):
    names = {"Description": "description", "EnableKeyRotation": "enable_key_rotation", "PendingWindowInDays": "deletion_window_in_days"}
    yield address, {"policy": p.pop("KeyPolicy"), **renamed(p, names)}


def topic(address, p):
    yield address, {"name": NAME, **renamed(p, {"DisplayName": "display_name", "KmsMasterKeyId": "kms_master_key_id"})}


def topic_policy(address, p):
    (arn,) = p.pop("Topics")
    yield address, {"arn": arn, "policy": p.pop("PolicyDocument")}


def subscription(address, p):
    yield address, renamed(p, {"TopicArn": "topic_arn", "Protocol": "protocol", "Endpoint": "endpoint"})


def trail(address, p):
    selectors = []
    for selector in p.pop("AdvancedEventSelectors"):
        fields = selector.pop("FieldSelectors")
        made = [renamed(field, {"Field": "field", "Equals": "equals"}) for field in fields]
        selectors.append({"name": selector.pop("Name"), "field_selector": made})
        assert selector == {} and not any(fields)
    names = {
        "TrailName": "name",
        "IsLogging": "enable_logging",
        "IsMultiRegionTrail": "is_multi_region_trail",
        "IncludeGlobalServiceEvents": "include_global_service_events",
        "EnableLogFileValidation": "enable_log_file_validation",
        "S3BucketName": "s3_bucket_name",
    }
    yield address, {"advanced_event_selector": selectors, **renamed(p, names)}


def bucket(address, p):
    """One resource there, five here."""
    name = label(address)
    here = {"bucket": f"<{address}.id>"}
    yield address, {"bucket_prefix": f"{own_name(address)}-"}
    (encryption,) = alone(p.pop("BucketEncryption"), "ServerSideEncryptionConfiguration")
    algorithm = renamed(encryption["ServerSideEncryptionByDefault"], {"SSEAlgorithm": "sse_algorithm"})
    assert encryption == {"ServerSideEncryptionByDefault": {}}
    yield f"aws_s3_bucket_server_side_encryption_configuration.{name}", {
        **here,
        "rule": [{"apply_server_side_encryption_by_default": [algorithm]}],
    }
    block = p.pop("PublicAccessBlockConfiguration")
    yield f"aws_s3_bucket_public_access_block.{name}", {**here, **{snake(each): value for each, value in block.items()}}
    (ownership,) = alone(p.pop("OwnershipControls"), "Rules")
    yield f"aws_s3_bucket_ownership_controls.{name}", {
        **here,
        "rule": [renamed(ownership, {"ObjectOwnership": "object_ownership"})],
    }
    (expiry,) = alone(p.pop("LifecycleConfiguration"), "Rules")
    abort = expiry.pop("AbortIncompleteMultipartUpload")
    yield f"aws_s3_bucket_lifecycle_configuration.{name}", {
        **here,
        "rule": [
            {
                # Every object: there, by saying nothing.
                "filter": [{}],
                "expiration": [{"days": expiry.pop("ExpirationInDays")}],
                "abort_incomplete_multipart_upload": [renamed(abort, {"DaysAfterInitiation": "days_after_initiation"})],
                **renamed(expiry, {"Id": "id", "Status": "status"}),
            }
        ],
    }
    assert ownership == abort == expiry == {}


def bucket_policy(address, p):
    yield address, {"bucket": p.pop("Bucket"), "policy": p.pop("PolicyDocument")}


def dashboard(address, p):
    # Its body is one file for both.
    p.pop("DashboardBody")
    yield address, {"dashboard_name": p.pop("DashboardName")}


TRANSLATE = {
    "AWS::Lambda::Function": function,
    "AWS::Lambda::EventInvokeConfig": event_invoke_config,
    "AWS::Logs::LogGroup": log_group,
    "AWS::SQS::Queue": queue,
    "AWS::SQS::QueuePolicy": queue_policy,
    "AWS::IAM::Role": role,
    "AWS::Events::Rule": rule,
    "AWS::Lambda::Permission": permission,
    "AWS::CloudWatch::Alarm": alarm,
    "AWS::Scheduler::ScheduleGroup": schedule_group,
    "AWS::Scheduler::Schedule": schedule,
    "AWS::KMS::Key": key,
    "AWS::SNS::Topic": topic,
    "AWS::SNS::TopicPolicy": topic_policy,
    "AWS::SNS::Subscription": subscription,
    "AWS::CloudTrail::Trail": trail,
    "AWS::S3::Bucket": bucket,
    "AWS::S3::BucketPolicy": bucket_policy,
    "AWS::CloudWatch::Dashboard": dashboard,
}


def in_our_words(text):
    """A text of the template's with the variables' names for the parameters'. A name of one word may be any word, and stays."""
    names = sorted((name for name in TEMPLATE["Parameters"] if snake(name) != name.lower()), key=len, reverse=True)
    return re.sub(rf"\b({'|'.join(names)})\b", lambda match: snake(match[1]), text)
