//! Checks everything that a campaign needs from the host. Whatever it tries, it tries only on the
//! target, briefly, and undoes it (see [`known`](crate::kernel::known)).

use std::io::ErrorKind;

use probe_core::{
    error::{Error, Hint, Result},
    model::{
        doctor::{Answer, Check, Diagnosis},
        target::{Function, Target},
    },
};

use crate::{
    kernel::{
        host,
        known::Known,
        targets::{self, PRESETS, Preset},
    },
    measure::reference,
    methods::{Detection, Method, registry},
    workload,
};

/// Whether methods may be tried.
#[derive(Debug)]
pub enum Asking {
    /// They may.
    Methods,
    /// They may not, or what they leave after a kill could not be removed.
    Nothing {
        /// Why.
        why: String,
    },
}

/// Diagnoses this host.
///
/// # Errors
/// /proc cannot be read. Everything else is an answer.
pub fn diagnose(asking: Asking) -> Result<Diagnosis> {
    let facts = host::read()?;
    let vhost = &PRESETS[0];
    let known = Known::default();
    let presets = preset_checks(&known);
    let target = known.symbols().and_then(|symbols| targets::resolve(vhost.name, symbols));
    let host = vec![
        check("root", root()),
        check("tracefs", answer(known.tracefs().map(|fs| fs.path("").display().to_string()))),
        check("vhost-net and TAPs", answer(workload::detect().map(|()| ""))),
    ];
    let (targets, methods) = match (target, asking) {
        (Ok(target), Asking::Methods) => {
            (target_checks(&target, &known), method_checks(&target, &known)?)
        }
        (Ok(target), Asking::Nothing { why }) => (target_checks(&target, &known), unasked(&why)?),
        (Err(error), _) => {
            let missing = vec![check(vhost.name, answer::<&str>(Err(error)))];
            (missing, unasked("the target is missing")?)
        }
    };
    let default_campaign = can_run(&host, &targets, &methods)?;
    let platform = host::platform(&facts);
    let kernel = host::release();
    Ok(Diagnosis { kernel, platform, host, targets, presets, methods, default_campaign })
}

/// Whether everything that the default campaign needs is available.
fn can_run(host: &[Check], targets: &[Check], methods: &[Check]) -> Result<bool> {
    let works = |id: &str| methods.iter().any(|c| c.name == id && c.answer.is_available());
    let defaults = registry::select("default")?;
    Ok(host.iter().chain(targets).all(|check| check.answer.is_available())
        && defaults.iter().all(|method| works(&method.descriptor().id.0)))
}

fn root() -> Answer {
    if rustix::process::geteuid().is_root() {
        return Answer::Available { detail: None };
    }
    Answer::Unsupported {
        why: "not root; most questions below cannot be answered".into(),
        hint: "Run it as root: sudo tracetoll doctor".into(),
    }
}

fn preset_checks(known: &Known) -> Vec<Check> {
    let has_tracefs = known.tracefs().is_ok();
    let one = |preset: &Preset| {
        let Ok(symbols) = known.symbols() else {
            let why = "the kernel's symbols cannot be read";
            return check(preset.name, Answer::Inconclusive { why: why.into() });
        };
        let resolved = preset.resolve(symbols).and_then(|resolved| match has_tracefs {
            true => known.check_traceable(&resolved.target).map(|()| resolved),
            false => Ok(resolved),
        });
        check(preset.name, answer(resolved.map(|resolved| resolved.to_string())))
    };
    PRESETS.iter().map(one).collect()
}

fn target_checks(target: &Target, known: &Known) -> Vec<Check> {
    target.functions.iter().flat_map(|function| function_checks(function, known)).collect()
}

fn function_checks(function: &Function, known: &Known) -> [Check; 2] {
    let alone = Target { functions: vec![function.clone()], ..Target::default() };
    let described = known.check_traceable(&alone).map(|()| targets::describe(&alone).concat());
    [
        check(&function.name, answer(described)),
        check(
            &format!("reference counter of {}", function.name),
            answer(reference::describe(function)),
        ),
    ]
}

fn method_checks(target: &Target, known: &Known) -> Result<Vec<Check>> {
    let ask = |method: &dyn Method| match method.ask(target, known) {
        Detection::Available => Answer::Available { detail: None },
        Detection::Unsupported { why, hint } => Answer::Unsupported { why, hint },
        Detection::Inconclusive(error) => Answer::Inconclusive { why: error.to_string() },
    };
    let all = registry::select("all")?;
    Ok(all.iter().map(|method| check(&method.descriptor().id.0, ask(&**method))).collect())
}

/// Methods that are not checked, with the reason.
fn unasked(why: &str) -> Result<Vec<Check>> {
    let all = registry::select("all")?;
    let unasked = |id: &str| check(id, Answer::Inconclusive { why: why.into() });
    Ok(all.iter().map(|method| unasked(&method.descriptor().id.0)).collect())
}

fn check(name: &str, answer: Answer) -> Check {
    Check { name: name.to_owned(), answer }
}

fn answer<T: Into<String>>(result: Result<T>) -> Answer {
    match result {
        Ok(detail) => Answer::Available { detail: Some(detail.into()).filter(|d| !d.is_empty()) },
        Err(Error::Unsupported { why, hint, .. }) => no(why, &hint),
        Err(Error::File { op, path, source, hint }) if is_conclusive(&source) => {
            no(format!("cannot {op} {}: {source}", path.display()), &hint)
        }
        Err(other) => Answer::Inconclusive { why: other.to_string() },
    }
}

fn no(why: String, hint: &Hint) -> Answer {
    let hint = hint.text().unwrap_or("No hint is known").to_owned();
    Answer::Unsupported { why, hint }
}

/// Whether an errno means that the thing does not exist, or is not available to us.
fn is_conclusive(source: &std::io::Error) -> bool {
    const NO_DEVICE: [i32; 2] = [libc::ENODEV, libc::ENXIO];
    matches!(source.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied)
        || source.raw_os_error().is_some_and(|errno| NO_DEVICE.contains(&errno))
}
