//! Map tiles below the live map, from a server that the user names.
//!
//! Browsers fetch them, not this server; it tells the page where they are and lets it go there.

use axum::http::Uri;
use axum::http::uri::Scheme;

/// The greatest zoom that a tile server is asked for, unless another is named.
pub const TILE_ZOOM_MAX: u8 = 19;

/// A server of square tiles in Web Mercator, numbered from the north-west.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileServer {
    url: String,
    origin: String,
    credit: String,
    zoom_max: u8,
}

/// Why an address does not name tiles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TileError {
    /// The address does not say where the numbers of a tile go.
    #[error(
        "the address has no {0}; it must read like https://tiles.example.org/{{z}}/{{x}}/{{y}}.png"
    )]
    Without(&'static str),
    /// Something in braces that is no number of a tile.
    #[error("the address has braces around something other than z, x and y: {0:?}")]
    Braces(String),
    /// Not an absolute address of HTTP.
    #[error("{0:?} is no address that begins with http:// or https:// and names a host")]
    Address(String),
}

impl TileServer {
    /// The server of an address with `{z}`, `{x}` and `{y}`; its host is credited.
    ///
    /// # Errors
    ///
    /// One of the three is missing, or the rest is no address of HTTP.
    pub fn new(url: &str) -> Result<Self, TileError> {
        let mut filled = url.to_owned();
        for place in ["{z}", "{x}", "{y}"] {
            if !filled.contains(place) {
                return Err(TileError::Without(place));
            }
            filled = filled.replace(place, "0");
        }
        if filled.contains(['{', '}']) {
            return Err(TileError::Braces(url.to_owned()));
        }
        let no_address = || TileError::Address(url.to_owned());
        let uri: Uri = filled.parse().map_err(|_| no_address())?;
        let (scheme, authority) = uri.scheme().zip(uri.authority()).ok_or_else(no_address)?;
        // The host goes into a header that other letters would end.
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "-._:[]".contains(it);
        let begins = url.starts_with(&format!("{scheme}://{authority}/"));
        let known = *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS;
        if !known || !begins || !authority.as_str().chars().all(is_plain) {
            return Err(no_address());
        }
        Ok(Self {
            url: url.to_owned(),
            origin: format!("{scheme}://{authority}"),
            credit: authority.host().to_owned(),
            zoom_max: TILE_ZOOM_MAX,
        })
    }

    /// The same with other words below the map.
    #[must_use]
    pub fn credited(self, credit: impl Into<String>) -> Self {
        Self { credit: credit.into(), ..self }
    }

    /// The same with another greatest zoom; where the map is nearer, its tiles are magnified.
    #[must_use]
    pub fn up_to(self, zoom_max: u8) -> Self {
        Self { zoom_max, ..self }
    }

    /// The address, with `{z}`, `{x}` and `{y}`.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Scheme, host and port.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Whom to thank.
    pub(super) fn credit(&self) -> &str {
        &self.credit
    }

    /// The greatest zoom.
    pub(super) fn zoom_max(&self) -> u8 {
        self.zoom_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_its_origin() {
        let tiles = TileServer::new("https://tiles.example.org:8443/v1/{z}/{x}/{y}.png?key=a1");
        let tiles = tiles.unwrap();
        assert_eq!(tiles.origin(), "https://tiles.example.org:8443");
        assert_eq!((tiles.credit(), tiles.zoom_max()), ("tiles.example.org", TILE_ZOOM_MAX));
        let tiles = tiles.credited("© Us").up_to(14);
        assert_eq!((tiles.credit(), tiles.zoom_max()), ("© Us", 14));
        assert!(TileServer::new("http://[::1]:80/{z}/{x}/{y}").is_ok());
    }

    #[test]
    fn what_is_no_address_of_tiles_is_refused() {
        let refused = |url: &str| TileServer::new(url).unwrap_err();
        assert_eq!(refused("https://a.org/{z}/{x}.png"), TileError::Without("{y}"));
        assert_eq!(refused("https://a.org"), TileError::Without("{z}"));
        let braces = "https://a.org/{s}/{z}/{x}/{y}.png";
        assert_eq!(refused(braces), TileError::Braces(braces.to_owned()));
        for url in [
            "/{z}/{x}/{y}.png",
            "tiles.example.org/{z}/{x}/{y}.png",
            "ftp://a.org/{z}/{x}/{y}",
            "https://{z}.a.org/{x}/{y}",
            "https://a.org;script-src/{z}/{x}/{y}",
            "https://me:secret@a.org/{z}/{x}/{y}",
            "https://a b/{z}/{x}/{y}",
            "https:///{z}/{x}/{y}",
        ] {
            assert_eq!(refused(url), TileError::Address(url.to_owned()), "{url}");
        }
    }
}
