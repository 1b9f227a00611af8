"""The trail that is made only where it is asked for: it records what the rule waits for, and nothing else."""

import pytest
from template import DEPLOYED, TEMPLATE, of_type

KINDS = ["AWS::CloudTrail::Trail", "AWS::S3::Bucket", "AWS::S3::BucketPolicy"]
TRAIL_ARN = {"Fn::Sub": "arn:${AWS::Partition}:cloudtrail:${AWS::Region}:${AWS::AccountId}:trail/unthrottle-${AWS::Region}"}


def only(kind):
    ((name, properties),) = of_type(kind).items()
    return name, properties


@pytest.mark.parametrize("kind", KINDS)
def test_it_costs_money_and_is_made_only_if_somebody_says_so(kind):
    name, _ = only(kind)
    assert DEPLOYED["Resources"][name]["Condition"] == "HasTrail"
    assert TEMPLATE["Conditions"]["HasTrail"] == {"Fn::Equals": [{"Ref": "DataEventTrail"}, "allow"]}
    parameter = TEMPLATE["Parameters"]["DataEventTrail"]
    assert parameter["Default"] == "deny" and "$0.10 for 100,000 calls" in parameter["Description"]


def test_it_records_every_call_that_the_rule_waits_for_and_no_other():
    _, trail = only("AWS::CloudTrail::Trail")
    recorded = {}
    for selector in trail["AdvancedEventSelectors"]:
        fields = {field.pop("Field"): field for field in map(dict, selector["FieldSelectors"])}
        # Nothing by readOnly, which data events of PutRecord and PutRecords carry as true, and nothing by a stream's ARN.
        assert list(fields) == ["eventCategory", "resources.type", "eventName"]
        assert all(list(field) == ["Equals"] for field in fields.values())
        assert fields["eventCategory"]["Equals"] == ["Data"]
        (kind,) = fields["resources.type"]["Equals"]
        recorded[kind] = fields["eventName"]["Equals"]
    waits_for = of_type("AWS::Events::Rule")["ThrottleRule"]["EventPattern"]["detail"]["eventName"]
    assert sorted(sum(recorded.values(), [])) == sorted(waits_for)
    assert recorded["AWS::Kinesis::StreamConsumer"] == ["SubscribeToShard"]


def test_only_the_trail_writes_to_its_bucket_and_only_over_tls():
    name, bucket = only("AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", {"Ref": "TrailRetentionDays"})
    _, trail = only("AWS::CloudTrail::Trail")
    assert trail["S3BucketName"] == {"Ref": name}
    # The policy comes first, or CloudTrail refuses the bucket.
    assert DEPLOYED["Resources"][only("AWS::CloudTrail::Trail")[0]]["DependsOn"] == only("AWS::S3::BucketPolicy")[0]
    assert TRAIL_ARN["Fn::Sub"].endswith("trail/" + trail["TrailName"]["Fn::Sub"])
    *allowed, tls = only("AWS::S3::BucketPolicy")[1]["PolicyDocument"]["Statement"]
    for statement in allowed:
        assert (statement["Effect"], statement["Principal"]) == ("Allow", {"Service": "cloudtrail.amazonaws.com"})
        assert statement["Condition"]["StringEquals"]["aws:SourceArn"] == TRAIL_ARN
    assert [statement["Action"] for statement in allowed] == ["s3:GetBucketAcl", "s3:PutObject"]
    assert (tls["Effect"], tls["Principal"], tls["Condition"]) == ("Deny", "*", {"Bool": {"aws:SecureTransport": "false"}})
