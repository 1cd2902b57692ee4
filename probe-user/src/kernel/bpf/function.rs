//! Kernel functions by the identifiers that the verifier requires: an id in the BTF of the kernel
//! or of a module.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::{Arc, OnceLock},
};

use probe_core::{
    error::{Error, Result},
    model::target::Function,
};

use crate::{
    kernel::btf::Functions,
    sys::bpf::{self, FunctionType},
};

/// One file for the kernel and one for each module.
const BTF: &str = "/sys/kernel/btf";

/// The function types of the running kernel, read when first used.
#[derive(Debug)]
pub struct FunctionTypes {
    vmlinux: Arc<Functions>,
    modules: BTreeMap<String, Module>,
}

#[derive(Debug)]
struct Module {
    functions: Functions,
    btf: OwnedFd,
}

impl FunctionTypes {
    /// Reads the kernel's own types when a process first uses them.
    ///
    /// # Errors
    /// The kernel has no BTF, or one that this version cannot read.
    pub fn read() -> Result<Self> {
        // These 5 MB cannot change while the kernel runs; those of a module can.
        static VMLINUX: OnceLock<Arc<Functions>> = OnceLock::new();
        let vmlinux = match VMLINUX.get() {
            Some(known) => known,
            None => {
                let read = Self::read_vmlinux()?;
                VMLINUX.get_or_init(|| Arc::new(read))
            }
        };
        Ok(Self { vmlinux: Arc::clone(vmlinux), modules: BTreeMap::new() })
    }

    fn read_vmlinux() -> Result<Functions> {
        let path = Path::new(BTF).join("vmlinux");
        if !path.exists() {
            return Err(Error::unsupported(
                "BPF on function entry",
                format!("this kernel has no type information ({} is missing)", path.display()),
                "Use a kernel built with CONFIG_DEBUG_INFO_BTF=y",
            ));
        }
        functions(&path, None)
    }

    /// The type of `function`.
    ///
    /// # Errors
    /// Its module is not loaded or has no BTF, or the BTF does not have the function.
    pub fn find(&mut self, function: &Function) -> Result<FunctionType<'_>> {
        self.described(function)?.ok_or_else(|| absent(&[function]))
    }

    /// Checks that there is a type for each of `functions`.
    ///
    /// # Errors
    /// A module is not loaded or has no BTF, or the BTF lacks some of the functions; the error
    /// names all of these.
    pub fn check(&mut self, functions: &[&Function]) -> Result<()> {
        let mut missing = Vec::new();
        for &function in functions {
            if self.described(function)?.is_none() {
                missing.push(function);
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(absent(&missing)) }
    }

    /// `None` if the BTF does not have it.
    fn described(&mut self, function: &Function) -> Result<Option<FunctionType<'_>>> {
        let name = &function.name;
        let Some(module) = &function.module else {
            return Ok(self.vmlinux.id(name).map(|id| FunctionType { module: None, id }));
        };
        let found = match self.modules.entry(module.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Module::read(module, &self.vmlinux)?),
        };
        let btf = found.btf.as_fd();
        Ok(found.functions.id(name).map(|id| FunctionType { module: Some(btf), id }))
    }
}

impl Module {
    fn read(name: &str, vmlinux: &Arc<Functions>) -> Result<Self> {
        let path = Path::new(BTF).join(name);
        if !path.exists() {
            return Err(without_btf(name, Path::new("/sys/module").join(name).exists()));
        }
        let btf = module_btf(name)?.ok_or_else(|| without_btf(name, true))?;
        Ok(Self { functions: functions(&path, Some(Arc::clone(vmlinux)))?, btf })
    }
}

fn functions(path: &Path, base: Option<Arc<Functions>>) -> Result<Functions> {
    let data = fs::read(path).map_err(|e| Error::file("read", path, e))?;
    Functions::parse(&data, base)
        .map_err(|e| Error::malformed(path.display().to_string(), e.to_string()))
}

/// The BTF that the kernel keeps for module `name`, found by walking all of them.
fn module_btf(name: &str) -> Result<Option<OwnedFd>> {
    let failed = |call, e| Error::call(call, format!("the BTF of {name}"), e);
    let mut id = 0;
    while let Some(next) = bpf::next_btf(id).map_err(|e| failed("bpf(BPF_BTF_GET_NEXT_ID)", e))? {
        id = next;
        let btf = match bpf::open_btf(id) {
            // A program's BTF that was removed meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(|e| failed("bpf(BPF_BTF_GET_FD_BY_ID)", e))?,
        };
        let named = bpf::kernel_btf_name(btf.as_fd())
            .map_err(|e| failed("bpf(BPF_OBJ_GET_INFO_BY_FD)", e))?;
        if named.as_deref() == Some(name) {
            return Ok(Some(btf));
        }
    }
    Ok(None)
}

/// For at least one function.
fn absent(missing: &[&Function]) -> Error {
    let names: Vec<_> = missing.iter().map(|function| function.listed()).collect();
    let (split, whole): (Vec<&str>, Vec<&str>) =
        missing.iter().map(|function| function.name.as_str()).partition(|name| name.contains('.'));
    let mut less: Vec<_> = whole.iter().map(|name| format!("!{name}")).collect();
    if !split.is_empty() {
        // A part that the compiler split off has a dot in its name, and never a type.
        less.push("!*.*".into());
    }
    Error::unsupported(
        format!("BPF on {}", names.join(", ")),
        format!("the BTF does not describe {}", if names.len() == 1 { "it" } else { "them" }),
        format!(
            "The compiler may have inlined or split such a function, or changed how it passes \
             arguments. Leave it out, as in `--target '...,{}'`; choose one that /proc/kallsyms \
             and the BTF both have; or use a method of the ftrace family",
            less.join(",")
        ),
    )
}

fn without_btf(module: &str, loaded: bool) -> Error {
    let subject = format!("BPF on functions of {module}");
    if !loaded {
        let hint = format!("Run `modprobe {module}`");
        return Error::unsupported(subject, "the module is not loaded", hint);
    }
    Error::unsupported(
        subject,
        format!("the kernel holds no BTF for the module ({BTF}/{module} is missing)"),
        "Use a kernel built with CONFIG_DEBUG_INFO_BTF_MODULES=y, and the modules built with it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_lack_a_type_are_named_with_how_to_leave_them_out() {
        let function = |name: &str| Function {
            name: name.into(),
            module: None,
            addresses: Default::default(),
        };
        let (one, two) = (function("a.cold"), function("b"));
        let text = absent(&[&one, &two]).to_string();
        assert!(text.starts_with("BPF on a.cold, b: the BTF does not describe them. "), "{text}");
        assert!(text.contains("`--target '...,!b,!*.*'`"), "{text}");
    }
}
