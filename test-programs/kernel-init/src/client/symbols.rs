//! What the vDSO exports: what this kernel is known to have is found, what it is known to lack is not,
//! and what nobody knew is told.

use core::fmt::{self, Display};

use vdso_client::names::{Abi, Function};
use vdso_client::{Vdso, vdso};
use vdso_elf::{Binding, Symbol};

use super::expected::{Export, Exports};
use crate::kernel;
use crate::report::Report;

pub fn run(report: &mut Report) {
    // Its absence has been told.
    let Ok(vdso) = vdso() else { return };
    let (Some(abi), Some(exports)) = (Abi::CURRENT, Exports::current()) else {
        return report.fail("symbols", "no table has this ABI");
    };
    for export in exports.symbols {
        resolved(&vdso, abi, exports, export, report);
    }
    for Function { name, version, .. } in abi.functions {
        if !exports.symbols.iter().any(|export| export.name == *name) {
            let found = vdso.lookup(name, Some(version));
            report
                .check(Resolve(name), if found.is_none() { Ok("not here") } else { Err("found") });
        }
    }
    aliases(&vdso, abi, report);
    report.ok("symbols", All(&vdso));
    unknown(&vdso, abi, report);
}

/// The name of a symbol's check.
struct Resolve<'a>(&'a str);

impl Display for Resolve<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "resolve-{}", self.0)
    }
}

/// By the version that the client's own table has.
fn resolved(vdso: &Vdso<'_>, abi: &Abi, exports: &Exports, export: &Export, report: &mut Report) {
    let Export { name, since, version } = *export;
    let version = version.unwrap_or(exports.version);
    let Some(function) = abi.functions.iter().find(|function| function.name == name) else {
        return report.fail(Resolve(name), "the client does not know it");
    };
    let found = vdso.lookup(name, Some(function.version)).is_some();
    let under_another = vdso.lookup(name, Some("LINUX_0")).is_some();
    let is_expected = kernel::version() >= since;
    let result = match (is_expected, found) {
        _ if function.version != version => Err("the client knows it under another version"),
        _ if under_another => Err("found under a version that it has not"),
        (true, true) => Ok("found"),
        (false, false) => Ok("not here yet"),
        (true, false) => Err("not found"),
        (false, true) => Err("found before its time"),
    };
    report.check(Resolve(name), result);
}

/// Twins without the prefix are the same functions.
fn aliases(vdso: &Vdso<'_>, abi: &Abi, report: &mut Report) {
    for Function { name, version, purpose, .. } in abi.functions {
        let vdso_client::names::Purpose::Call(call) = purpose else { continue };
        let found = vdso.lookup(name, Some(version));
        let alias = vdso.lookup(call.name(), Some(version));
        let expected = if abi.has_plain_aliases { found } else { None };
        if alias != expected {
            report.fail("aliases", format_args!("{} is {alias:?}, not {expected:?}", call.name()));
        }
    }
}

/// The symbols but for those that stand for versions.
fn exported<'a>(vdso: &Vdso<'a>) -> impl Iterator<Item = Symbol<'a>> {
    let is_global = |symbol: &Symbol<'_>| symbol.binding != Binding::Local;
    let symbols = vdso.symbols().filter_map(Result::ok);
    symbols.filter(move |it| it.is_defined() && !it.is_absolute() && is_global(it))
}

/// Every symbol with its version, as the tool compares them with an image's.
struct All<'a>(&'a Vdso<'a>);

impl Display for All<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, symbol) in exported(self.0).enumerate() {
            let space = if number == 0 { "" } else { " " };
            write!(formatter, "{space}{}@{}", symbol.name, symbol.version.unwrap_or_default())?;
        }
        Ok(())
    }
}

/// What no table of the client's has: it is new, and no failure.
fn unknown(vdso: &Vdso<'_>, abi: &Abi, report: &mut Report) {
    for symbol in exported(vdso) {
        let is_named = abi.functions.iter().any(|function| function.name == symbol.name);
        let is_alias = abi.functions.iter().any(|function| {
            let prefix = function.name.strip_suffix(symbol.name);
            abi.has_plain_aliases && prefix == Some(abi.prefix)
        });
        if !is_named && !is_alias {
            let version = symbol.version.unwrap_or("no version");
            report.note("unknown", format_args!("it exports {} ({version})", symbol.name));
        }
    }
}
