//! `PUT | GET | HEAD /v1/institutions/{provider}/uploads/{id}`: confirmations, piece by piece.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_RANGE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::api::{ApiState, signature};
use super::problem::{Problem, json_response};
use super::range;
use crate::pipeline::access::tokens::Scope;
use crate::pipeline::messages::upload::{Piece, Progress, Proof, UploadError, UploadId, Uploads};
use crate::rails::stream::sign::Secret;

/// Header with the SHA-256 of the whole, in hex.
const SHA256: &str = "sarf-content-sha256";

pub(super) async fn put(
    State(state): State<Arc<ApiState>>,
    Path((provider, id)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let provider = state.provider(&provider)?.code.as_str();
    let headers = request.headers().clone();
    let caller = state.gate.admit(&headers, Scope::Uploads, Some(provider)).await?;
    let id = UploadId::parse(provider, &id).map_err(refused)?;
    let (range, total) = place(&headers)?;
    let sha256 = declared(&headers)?;
    let (bytes, _room) = state.body(Some(&caller), request).await?;
    if bytes.len() as u64 != range.end - range.start {
        return Err(Problem::bad("the body is not as long as its range", "send exactly these bytes"));
    }
    let piece = Piece { first: range.start, total, sha256, bytes };
    let progress = state.uploads.put(&id, &piece).await.map_err(refused)?;
    if progress.result.is_some() || progress.received < progress.total {
        return Ok(answer(&progress));
    }
    let (timestamp, signed) = signature(&headers);
    let proof = Proof { timestamp: timestamp.map(Into::into), signature: signed.map(Into::into) };
    take(&state, id, state.secret(provider)?, proof, progress).await
}

/// Takes the whole. It goes on where the answer cannot wait for it, or the caller has gone.
async fn take(
    state: &ApiState,
    id: UploadId,
    secret: Secret,
    proof: Proof,
    progress: Progress,
) -> Result<Response, Problem> {
    let uploads: Arc<Uploads> = Arc::clone(&state.uploads);
    let taking = tokio::spawn(async move { uploads.take(&id, &secret, &proof).await });
    let patience =
        state.request_time_max().saturating_sub(Duration::from_secs(1)).max(Duration::from_millis(500));
    let result = match tokio::time::timeout(patience, taking).await {
        Err(_) => None,
        Ok(Ok(taken)) => taken.map_err(refused)?,
        Ok(Err(_)) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(Problem::later(status, "the upload could not be taken", Duration::from_secs(5)));
        }
    };
    Ok(answer(&Progress { result, ..progress }))
}

/// `GET`, and `HEAD` by the router.
pub(super) async fn show(
    State(state): State<Arc<ApiState>>,
    Path((provider, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let provider = state.provider(&provider)?.code.as_str();
    state.gate.admit(&headers, Scope::Uploads, Some(provider)).await?;
    let id = UploadId::parse(provider, &id).map_err(refused)?;
    let progress = state.uploads.progress(&id).await.map_err(refused)?;
    Ok(answer(&progress))
}

/// 200 with the result once there is one, else 202 with what is missing.
fn answer(progress: &Progress) -> Response {
    let status = if progress.result.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let missing: Vec<[u64; 2]> = progress.missing.iter().map(|gap| [gap.start, gap.end - 1]).collect();
    let body = json!({
        "total": progress.total, "received": progress.received, "offset": progress.offset, "missing": missing,
        "result": progress.result,
    });
    let mut response = json_response(status, &body);
    response.headers_mut().insert("upload-offset", HeaderValue::from(progress.offset));
    response.headers_mut().insert("upload-length", HeaderValue::from(progress.total));
    response
}

fn place(headers: &HeaderMap) -> Result<(std::ops::Range<u64>, u64), Problem> {
    let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).and_then(range::sent);
    range.ok_or_else(|| {
        Problem::bad(
            "the piece's place is missing or cannot be read",
            "send `Content-Range: bytes FIRST-LAST/TOTAL`",
        )
    })
}

fn declared(headers: &HeaderMap) -> Result<Option<[u8; 32]>, Problem> {
    let Some(value) = headers.get(SHA256) else { return Ok(None) };
    let hash = value.to_str().ok().and_then(unhex);
    hash.map(Some).ok_or_else(|| Problem::bad("`Sarf-Content-SHA256` cannot be read", "send 64 hex digits"))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut hash = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(hash)
}

fn refused(error: UploadError) -> Problem {
    let status = match &error {
        UploadError::Store(error) => return Problem::store(error),
        UploadError::Id | UploadError::NoHash => StatusCode::BAD_REQUEST,
        UploadError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        UploadError::Differs | UploadError::Conflict | UploadError::TooManyPieces | UploadError::TooMany => {
            StatusCode::CONFLICT
        }
        UploadError::NotFound(_) => StatusCode::NOT_FOUND,
        UploadError::Hash => StatusCode::UNPROCESSABLE_ENTITY,
        UploadError::Signature(_) => StatusCode::UNAUTHORIZED,
    };
    Problem::of(status, &error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_64_hex_digits() {
        let good = "0aFF".repeat(16);
        assert_eq!(unhex(&good).map(|h| [h[0], h[1], h[31]]), Some([0x0a, 0xff, 0xff]));
        for bad in ["", "0a", &good[1..], &format!("{good}0"), &good.replace('a', "g")] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
