# SPDX-License-Identifier: Apache-2.0
# A NixOS module for the gate, with the unit of the package. Never run: `make lint-examples`
# checks its syntax with nix-instantiate --parse.
#
#   imports = [ ./nixos.nix ];
#   services.imds-ready = { enable = true; package = ...; settings.retry.deadline = "2m"; };
#
# The package must have been built from a release, with the programs in bin and the unit in
# lib/systemd/system: `make build`, then `make install PREFIX= DESTDIR=$out`.

{ config, lib, pkgs, ... }:

let
  cfg = config.services.imds-ready;
  program = "${cfg.package}/bin/imds-ready";
  toml = pkgs.formats.toml { };
  policy = toml.generate "imds-ready.toml" cfg.settings;
in
{
  options.services.imds-ready = {
    enable = lib.mkEnableOption "the gate that waits for the Instance Metadata Service of EC2";
    package = lib.mkOption {
      type = lib.types.package;
      description = "The package with imds-ready and its unit.";
    };
    settings = lib.mkOption {
      type = toml.type;
      default = { };
      description = "The policy; see imds-ready.toml(5).";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];

    # The policy is checked when the system is built.
    environment.etc."imds-ready/imds-ready.toml".source =
      pkgs.runCommand "imds-ready.toml" { } ''
        ${cfg.package}/bin/imds-ready check --strict ${policy}
        cp ${policy} $out
      '';

    users.users.imds-ready = { isSystemUser = true; group = "imds-ready"; };
    users.groups.imds-ready = { };

    systemd.packages = [ cfg.package ];
    # The units name the program, and as the only path that may be executed.
    systemd.services.imds-ready = {
      wantedBy = [ "multi-user.target" ];
      # A deployment must not stop the services that are bound to the gate.
      restartIfChanged = false;
      serviceConfig = {
        ExecStart = [ "" "${program} run" ];
        ExecReload = [ "" "${program} refresh --now" ];
        ExecPaths = [ "" program ];
      };
    };
    systemd.services.imds-ready-refresh.serviceConfig = {
      ExecStart = [ "" "${program} refresh" ];
      ExecPaths = [ "" program ];
    };
    systemd.services.imds-ready-watch.serviceConfig = {
      ExecStart = [ "" "${program} watch" ];
      ExecPaths = [ "" program ];
    };
  };
}
