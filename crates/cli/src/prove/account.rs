//! The account that a run spends in, and that its resources are in.

use super::clients::Clients;
use super::trouble::{Trouble, done};
use crate::CliError;
use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use std::collections::BTreeMap;

/// The services of the steps, as the SDK names them in `AWS_ENDPOINT_URL_SERVICE`.
const SERVICES: [&str; 8] = ["CloudTrail", "CloudWatch", "EventBridge", "fis", "Kinesis", "KMS", "Lambda", "SQS"];

/// An account, and the servers that it is reached by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// Its id. `None`: the endpoint has no STS.
    pub id: Option<String>,
    /// The region.
    pub region: String,
    /// The endpoint of each service that is not called at AWS's own.
    pub endpoints: BTreeMap<String, String>,
}

impl Account {
    /// The account of these credentials. AWS lets every caller ask for it.
    ///
    /// # Errors
    /// AWS does not say. Nothing must be created or deleted then.
    pub async fn asked(config: &SdkConfig, clients: &Clients) -> Result<Account, CliError> {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let endpoints = endpoints(config);
        let id = match done("GetCallerIdentity", clients.sts.get_caller_identity().send().await) {
            Ok(answer) => answer.account,
            Err(Trouble::NotServed(_)) if !clients.is_aws => None,
            Err(trouble) => return Err(CliError::Partly(format!("nothing was created or deleted: {trouble}"))),
        };
        Ok(Account { id, region, endpoints })
    }

    /// Refuses to take this account for that of a ledger: resources that are not here would count as deleted.
    ///
    /// # Errors
    /// It is another account, region or endpoint.
    pub fn must_be(&self, of_ledger: &Account) -> Result<(), CliError> {
        let is_same = |id: &String| self.id.as_ref().is_none_or(|mine| mine == id);
        let is_it = self.region == of_ledger.region && self.endpoints == of_ledger.endpoints;
        if is_it && of_ledger.id.as_ref().is_none_or(is_same) {
            return Ok(());
        }
        Err(CliError::Usage(format!(
            "the ledger of the folder is of {of_ledger}, and this command would call {self}. Call the account of the \
             ledger, or give another --out"
        )))
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.id {
            Some(id) => write!(f, "account {id}")?,
            None => write!(f, "an account without an id")?,
        }
        write!(f, ", region {}", self.region)?;
        let mut urls: Vec<&String> = self.endpoints.values().collect();
        urls.sort_unstable();
        urls.dedup();
        for (at, url) in urls.into_iter().enumerate() {
            write!(f, "{} {url}", if at == 0 { ", at" } else { " and" })?;
        }
        Ok(())
    }
}

/// The endpoint of each service that is not called at AWS's own, as the clients find it.
fn endpoints(config: &SdkConfig) -> BTreeMap<String, String> {
    let given = config.endpoint_url().map(str::to_owned);
    let is_for_all = config.get_origin("endpoint_url").is_client_config();
    let of = |service: &str| {
        let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url");
        let of_service = || config.service_config()?.load_config(key.build().ok()?);
        if is_for_all { given.clone() } else { of_service().or_else(|| given.clone()) }
    };
    SERVICES.iter().filter_map(|service| Some(((*service).to_owned(), of(service)?))).collect()
}

/// The last parts of AWS's own host names, also of a VPC endpoint and of other partitions.
const HOSTS_OF_AWS: [&str; 3] = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];

/// Whether every service is called at AWS's own endpoint. These have all operations of the steps.
pub(super) fn is_aws(config: &SdkConfig) -> bool {
    endpoints(config).values().all(|url| is_of_aws(url))
}

fn is_of_aws(url: &str) -> bool {
    let host = url.parse().ok().and_then(|url: http::Uri| url.host().map(str::to_ascii_lowercase));
    host.is_some_and(|host| HOSTS_OF_AWS.iter().any(|end| host.ends_with(end)))
}

/// Whether a service is called at AWS's own endpoint, whose clock runs as the machine's.
pub(super) fn is_partly_aws(config: &SdkConfig) -> bool {
    let endpoints = endpoints(config);
    endpoints.len() < SERVICES.len() || endpoints.values().any(|url| is_of_aws(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: Option<&str>, region: &str, url: Option<&str>) -> Account {
        let endpoints = url.map(|url| ("Kinesis".to_owned(), url.to_owned())).into_iter().collect();
        Account { id: id.map(str::to_owned), region: region.to_owned(), endpoints }
    }

    #[test]
    fn another_account_region_or_endpoint_than_that_of_the_ledger_is_refused_and_named() {
        let of_ledger = account(Some("111122223333"), "us-east-1", None);
        for other in [
            account(Some("444455556666"), "us-east-1", None),
            account(Some("111122223333"), "eu-west-1", None),
            account(Some("111122223333"), "us-east-1", Some("http://127.0.0.1:4566")),
        ] {
            let error = other.must_be(&of_ledger).expect_err("another").to_string();
            let says = format!("is of account 111122223333, region us-east-1, and this command would call {other}.");
            assert!(error.contains(&says), "{error}");
        }
        of_ledger.must_be(&of_ledger).expect("the same");
        // An endpoint without STS differs by its address alone.
        let unnamed = account(None, "us-east-1", Some("http://127.0.0.1:4566"));
        unnamed.must_be(&account(None, "us-east-1", Some("http://127.0.0.1:4566"))).expect("the same");
        unnamed.must_be(&account(None, "us-east-1", Some("http://127.0.0.1:4567"))).expect_err("another");
    }

    #[test]
    fn an_endpoint_is_aws_by_its_host_and_no_other_server_is() {
        let of = |url: Option<&str>| {
            let mut builder = SdkConfig::builder();
            builder.set_endpoint_url(url.map(str::to_owned));
            let config = builder.build();
            assert_eq!(is_partly_aws(&config), is_aws(&config), "{url:?}");
            is_aws(&config)
        };
        for url in [
            None,
            Some("https://kinesis.us-east-1.amazonaws.com"),
            Some("https://vpce-1a2b.kinesis.us-east-1.vpce.amazonaws.com:443/"),
            Some("https://kinesis.cn-north-1.amazonaws.com.cn"),
        ] {
            assert!(of(url), "{url:?}");
        }
        for url in ["http://127.0.0.1:4566", "http://amazonaws.com.example:4566", "http://localhost.localstack.cloud"] {
            assert!(!of(Some(url)), "{url}");
        }
    }
}
