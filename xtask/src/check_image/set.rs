//! The images for one architecture: those that cargo has built for this machine, or others.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use vdso_data::architecture::Architecture;
use vdso_image::Source;
use xtask_build::images::{self, Images};

use super::subject::Subject;

/// The images for one architecture, by source.
pub struct Set {
    pub architecture: &'static Architecture,
    images: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Set {
    /// Builds them where cargo has not; the reason, if that cannot be done here.
    pub fn of(architecture: &'static Architecture) -> Result<Result<Self, String>> {
        if architecture.name == vdso_image::ARCHITECTURE.name {
            let pair = |source| (vdso_image::bytes(source), vdso_image::debug_file(source));
            let images = Source::ALL.map(pair).map(|(image, debug)| (image.into(), debug.into()));
            return Ok(Ok(Self { architecture, images: images.into() }));
        }
        match images::built(architecture)? {
            Images::In(folder) => Ok(Ok(Self::read(architecture, &folder)?)),
            Images::Missing(reason) => Ok(Err(reason)),
        }
    }

    /// Those in a folder.
    pub fn read(architecture: &'static Architecture, folder: &Path) -> Result<Self> {
        let file = |source: Source, kind: &str| {
            let path = folder.join(format!("{}.{kind}", source.name()));
            fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let pair = |source| Ok((file(source, "so")?, file(source, "debug")?));
        let images = Source::ALL.into_iter().map(pair).collect::<Result<_>>()?;
        Ok(Self { architecture, images })
    }

    /// What the checks look at.
    pub fn subject(&self, source: Source) -> Subject<'_> {
        let (bytes, debug) = &self.images[source as usize];
        Subject { architecture: self.architecture, bytes, debug: Some(debug), counts: false }
    }

    /// How a person calls one of them.
    pub fn name(&self, source: Source) -> String {
        format!("{} {}", self.architecture.name, source.name())
    }
}
