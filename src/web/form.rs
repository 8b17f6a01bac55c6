//! Forms as request bodies: bounded in size, time and fields, each field once.

use super::{Problem, Site, body_time};
use rocket::data::{Data, FromData, Outcome, ToByteUnit as _};
use rocket::form::ValueField;
use rocket::http::{RawStr, Status};
use rocket::tokio::time::timeout;
use rocket::{Request, data};
use zeroize::Zeroizing;

/// More than any form of ours has.
const FIELDS_MAX: usize = 64;

/// The fields of an `application/x-www-form-urlencoded` body. As a data guard it refuses a field that came twice.
pub struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    /// # Errors
    /// What is no form, too large, too slow, or no UTF-8.
    pub async fn read(request: &Request<'_>, data: Data<'_>) -> Result<Self, Problem> {
        if !request.content_type().is_some_and(|kind| kind.is_form()) {
            return Err(Problem::of_status(Status::UnsupportedMediaType)
                .detail("Send the parameters with Content-Type: application/x-www-form-urlencoded."));
        }
        let kib = Site::of(request).map_or(32, |site| site.config.limits.form_kib);
        match timeout(body_time(request), data.open(kib.kibibytes()).into_string()).await {
            Err(_) => Err(Problem::of_status(Status::RequestTimeout)),
            Ok(Err(_)) => Err(Problem::of_status(Status::BadRequest)),
            Ok(Ok(body)) if !body.is_complete() => Err(Problem::of_status(Status::PayloadTooLarge)),
            // Bodies hold passwords.
            Ok(Ok(body)) => Self::parse(&Zeroizing::new(body.into_inner())),
        }
    }

    fn parse(body: &str) -> Result<Self, Problem> {
        let pairs: Vec<&str> = body.split('&').filter(|pair| !pair.is_empty()).take(FIELDS_MAX + 1).collect();
        if pairs.len() > FIELDS_MAX {
            return Err(Problem::of_status(Status::BadRequest).detail("The form has too many fields."));
        }
        let fields = pairs.into_iter().map(|pair| {
            let field = ValueField::parse(pair);
            let name = RawStr::new(field.name.source().as_str()).url_decode()?.into_owned();
            Ok((name, Zeroizing::new(RawStr::new(field.value).url_decode()?.into_owned())))
        });
        let fields: Result<Vec<_>, std::str::Utf8Error> = fields.collect();
        let fields = fields.map_err(|_| {
            Problem::of_status(Status::BadRequest).detail("The form is not encoded in UTF-8.")
        })?;
        // The first bytes were looked through before; here the whole body is.
        if fields.iter().any(|(name, _)| name == "_method") {
            return Err(super::method_field::refused());
        }
        Ok(Self(fields))
    }

    /// A field's value; an empty one is none.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether a field came twice: then two readers could see two different forms.
    pub fn has_repeated_field(&self) -> bool {
        self.0.iter().enumerate().any(|(at, (name, _))| self.0[..at].iter().any(|(other, _)| other == name))
    }
}

#[rocket::async_trait]
impl<'r> FromData<'r> for Form {
    type Error = ();

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        let problem = match Self::read(request, data).await {
            Ok(form) if !form.has_repeated_field() => return data::Outcome::Success(form),
            Ok(_) => Problem::new(Status::BadRequest, "repeated_field", "A field came twice"),
            Err(problem) => problem,
        };
        Outcome::Error((problem.leave(request), ()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(body: &str) -> u16 {
        Form::parse(body).err().map_or(200, |problem| problem.status.code)
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_refused() {
        assert_eq!(status("login=%ff"), 400);
        assert_eq!(status("%ff=a"), 400);
        assert_eq!(status(&"a=b&".repeat(FIELDS_MAX + 1)), 400);
        assert_eq!(status("a=b&_method=put"), 400);
        assert_eq!(status("a=b&%5Fmethod=put"), 400);
        assert!(Form::parse("a=1&b=2&%61=3").unwrap().has_repeated_field());
    }

    #[test]
    fn a_form_is_decoded_once() {
        let form = Form::parse("login=ada+l%40x&&password=a%2Bb%26%C3%A9&empty=&bare").unwrap();
        assert_eq!(form.get("login"), Some("ada l@x"));
        assert_eq!(form.get("password"), Some("a+b&é"));
        assert_eq!((form.get("empty"), form.get("bare"), form.get("none")), (None, None, None));
        assert!(!form.has_repeated_field());
    }
}
