"""The reference driver: Docker's devicemapper init path on the kernel's own interfaces, made to converge."""
