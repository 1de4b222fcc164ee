# SPDX-License-Identifier: Apache-2.0
# An AMI of Debian with the gate, by Packer. Never run: `make lint-examples` checks it with
# packer validate -syntax-only. Variables: the deb of a release, and a policy of your own.
#
# $ packer init packer.pkr.hcl
# $ packer build -var deb=imds-ready_0.2.0-0upstream1_amd64.deb -var policy=my-policy.toml packer.pkr.hcl

packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.3"
    }
  }
}

variable "deb" {
  type = string
}

variable "policy" {
  type = string
}

source "amazon-ebs" "debian" {
  ami_name      = "imds-ready-{{timestamp}}"
  instance_type = "t3.micro"
  ssh_username  = "admin"

  source_ami_filter {
    filters = {
      name                = "debian-12-amd64-*"
      virtualization-type = "hvm"
    }
    owners      = ["136693071363"]
    most_recent = true
  }
}

build {
  sources = ["source.amazon-ebs.debian"]

  provisioner "file" {
    sources     = [var.deb, var.policy]
    destination = "/tmp/"
  }

  # The package enables the gate but does not start it: its first run is in the first boot
  # of an instance of the image. The policy is checked first, so that a mistake ends the
  # build and not the boot.
  provisioner "shell" {
    inline = [
      "sudo apt-get install --yes /tmp/${basename(var.deb)}",
      "imds-ready check --strict /tmp/${basename(var.policy)}",
      "sudo install -D -m 0644 /tmp/${basename(var.policy)} /etc/imds-ready/imds-ready.toml.d/50-image.toml",
      "rm /tmp/${basename(var.deb)} /tmp/${basename(var.policy)}",
    ]
  }
}
