//! Images for other architectures than this one's.

use std::path::Path;

use vdso_data::architecture::{ALL, ByteOrder};
use vdso_image::{ARCHITECTURE, Source, bytes, bytes_for, companion, twin};

/// Those that were asked for when the crate was built, as this test was.
fn asked_for() -> Vec<&'static str> {
    option_env!("VDSO_IMAGE_ALSO").unwrap_or_default().split(',').map(str::trim).collect()
}

#[test]
fn what_was_asked_for_is_there_and_nothing_else() {
    let is_companion = |name: &str| companion().is_some_and(|(it, _)| it.name == name);
    for architecture in ALL {
        let name = architecture.name;
        for source in Source::ALL {
            let is_twin = twin(source).is_some_and(|(it, _)| it.name == name);
            let is_here = name == ARCHITECTURE.name
                || asked_for().contains(&name)
                || is_twin
                || is_companion(name) && source == Source::Chain;
            let image = bytes_for(architecture, source);
            assert_eq!(image.is_some(), is_here, "{name}, {}", source.name());
            let Some(image) = image else { continue };
            if let Some(folder) = std::env::var_os("VDSO_IMAGE_ALSO_ARE_IN")
                && asked_for().contains(&name)
            {
                let file = Path::new(&folder).join(format!("{}.so", source.name()));
                assert!(std::fs::read(file).expect("an image") == image, "{name} differs");
            }
            let parsed = vdso_elf::Image::parse(image).expect("an image");
            let order = match architecture.byte_order {
                ByteOrder::Little => vdso_elf::ByteOrder::Little,
                ByteOrder::Big => vdso_elf::ByteOrder::Big,
            };
            assert_eq!(parsed.byte_order(), order, "{name}");
            assert_eq!(parsed.machine(), architecture.abi.machine, "{name}");
            for export in architecture.exports {
                let found = parsed.lookup(export.name, None);
                assert!(found.is_some(), "{name}, {}: {}", source.name(), export.name);
            }
        }
    }
    for source in Source::ALL {
        assert_eq!(bytes_for(ARCHITECTURE, source), Some(bytes(source)));
    }
}
